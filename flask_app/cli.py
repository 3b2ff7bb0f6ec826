"""Score bidders in auctions for shill bidding, and watch the model that does.

Settings come from the environment, SHILL_*: `settings` lists them. `COMMAND --help` explains a
command, with examples and exit statuses.

Examples:
    shill train --promote        train a model and put it into production
    shill keys create me         make a key to ask the API with
    shill serve                  serve it at http://127.0.0.1:8000
    shill smoke http://127.0.0.1:8000
"""

# A command is a module of `flask_app.commands` with `configure(parser)` and `run(arguments)`; its
# docstring is its help. It is imported only when it is called for, so that the serving image needs
# no training dependency.

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from flask_app import __version__
from flask_app.errors import ShillError

COMMANDS = {
    "simulate": "simulate auctions bid by bid and write their records as CSV",
    "score": "score whole auctions from an auction site's tables of auctions and bids",
    "dataset": "make a training set of the predictions that were labelled",
    "train": "compare candidates, choose one and write its bundle",
    "evaluate": "score a bundle on a dataset",
    "bands": "show from which probability on records are reviewed and blocked, or change that",
    "model": "list, verify, publish, promote and roll back bundles of a store",
    "profiles": "make, list, promote and roll back snapshots of bidders' profiles",
    "keys": "make, list and revoke keys of the API",
    "serve": "serve the model in production",
    "smoke": "ask a running server good and bad questions and check its answers",
    "review": "serve the desk at which people decide what is suspicious",
    "drift": "compare the latest predictions with the training data and publish metrics",
    "ship": "ship closed segments of the logs to S3 and delete here what is safe there",
    "query": "run SQL over the logs, here and in S3",
    "settings": "print every setting with its default and meaning",
}
EXTRAS = {
    "simulate": "train",
    "train": "train",
    "evaluate": "train",
    "score": "score",
    "dataset": "archive,train",
    "bands": "train",
    "model": "serve",
    "profiles": "serve,score",
    "keys": "serve",
    "serve": "serve",
    "smoke": "serve,client",
    "review": "review",
    "drift": "drift",
    "ship": "archive",
    "query": "archive",
}
"""What of the package's optional dependencies each command needs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status (1: a `ShillError`, told on stderr)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="shill", description=__doc__, formatter_class=raw)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    module: ModuleType | None = None
    try:
        for name, summary in COMMANDS.items():
            command = commands.add_parser(name, help=summary, formatter_class=raw)
            if argv[:1] == [name]:
                module = _import(name)
                command.description = module.__doc__
                module.configure(command)
        arguments = parser.parse_args(argv)
        return int((module or _import(arguments.command)).run(arguments))
    except ShillError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _import(command: str) -> ModuleType:
    try:
        return importlib.import_module(f"flask_app.commands.{command}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("flask_app"):
            raise
        raise ShillError(
            f"{command} needs the module {error.name}, which is not installed: "
            f"pip install 'shill-bidding[{EXTRAS.get(command, 'serve')}]'"
        ) from error
