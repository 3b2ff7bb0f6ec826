"""Command line: `python -m flask_app COMMAND`.

A command is a module of `flask_app.commands` with `configure(parser)` and `run(arguments)`; it is
imported only when it is called for, so that the serving image needs no training dependency.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from flask_app.errors import ShillError

COMMANDS = {
    "simulate": "simulate auctions bid by bid and write their records as CSV",
    "train": "compare candidates, choose one and write its bundle",
    "evaluate": "score a bundle on a dataset",
    "model": "list, verify, publish, promote and roll back bundles of a store",
    "drift": "compare the latest predictions with the training data and publish metrics",
    "ship": "ship closed segments of the logs to S3 and delete here what is safe there",
    "query": "run SQL over the logs, here and in S3",
    "smoke": "ask a running server good and bad questions and check its answers",
    "settings": "print every setting with its default and meaning",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status (1: a `ShillError`, told on stderr)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="python -m flask_app", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if argv[:1] == [name]:
            importlib.import_module(f"flask_app.commands.{name}").configure(command)
    arguments = parser.parse_args(argv)
    module = importlib.import_module(f"flask_app.commands.{arguments.command}")
    try:
        return int(module.run(arguments))
    except ShillError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
