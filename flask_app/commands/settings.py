"""Print the table of settings, as Markdown: docs/settings.md is made of it.

Examples:
    shill settings
    shill settings --json

Exit status: 0.
"""

import argparse
from dataclasses import Field, fields
from typing import Any

from flask_app.commands.table import print_json
from flask_app.settings import PREFIX, Settings

HEADER = """\
# Settings

Environment variables; each has a default that works. A variable that is misspelt, of another type
or below its minimum is refused before anything starts. Variables that Kubernetes sets for a Service
named `shill` are passed over. Made by `python -m flask_app settings`.

| Variable | Type | Default | Meaning |
| --- | --- | --- | --- |
"""
TYPES = {"str": "text", "Path": "path", "PosixPath": "path", "int": "integer", "float": "number"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the form."""
    parser.add_argument("--json", action="store_true", help="print a JSON array of objects")


def run(arguments: argparse.Namespace) -> int:
    """Print the page, or the same as JSON."""
    if arguments.json:
        print_json(
            [
                {
                    "variable": PREFIX + item.name.upper(),
                    "type": TYPES[type(item.default).__name__],
                    "default": item.default,
                    **item.metadata,
                }
                for item in fields(Settings)
            ]
        )
    else:
        print(page(), end="")
    return 0


def page() -> str:
    """Return the page of all settings."""
    return HEADER + "".join(map(_row, fields(Settings)))


def _row(item: Field[Any]) -> str:
    constraint = ""
    if item.metadata["minimum"] is not None:
        constraint = f", at least {item.metadata['minimum']:g}"
    if item.metadata["choices"]:
        constraint = ": " + ", ".join(f"`{choice}`" for choice in item.metadata["choices"])
    default = f"`{item.default}`" if str(item.default) else "empty"
    return (
        f"| `{PREFIX}{item.name.upper()}` | {TYPES[type(item.default).__name__]}{constraint} "
        f"| {default} | {item.metadata['description']} |\n"
    )
