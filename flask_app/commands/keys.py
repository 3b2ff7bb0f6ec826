"""`keys`: make, list and revoke keys of the API, in SHILL_KEY_STORE.

A key is printed once, when it is made; the store holds its hash. Running servers take up what
changed within seconds.

Examples:
    shill keys create partner --scopes predict,feedback --days 90
    shill keys list
    shill keys revoke k3v7m2qa

Exit status: 0 done, 1 a value or the store refuses it.
"""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from typing import cast

from flask_app.commands.table import print_json, table
from flask_app.errors import KeysError
from flask_app.keys.store import SCOPES, Key, KeyStore, Scope
from flask_app.settings import Settings

HEADER = ("id", "name", "scopes", "requests/s", "expires, UTC", "state")
MAX_DAYS = 3650


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=summary, description=summary)

    create = action("create", "make a key and print it, this once")
    create.add_argument("name", help="whose it is, for people")
    create.add_argument(
        "--scopes", default="predict", help=f"of {', '.join(SCOPES)}, by commas; default: predict"
    )
    create.add_argument(
        "--days",
        type=float,
        default=365.0,
        help="until it expires, 0 for never; default: %(default)g",
    )
    create.add_argument(
        "--rate",
        type=float,
        default=100.0,
        help="most requests a second; default: %(default)g",
    )
    listing = action("list", "show every key that was ever made, never the keys themselves")
    listing.add_argument("--json", action="store_true", help="print a JSON array of objects")
    revoke = action("revoke", "revoke a key for good")
    revoke.add_argument("id", help="as `list` shows it")


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns 0."""
    store = KeyStore(Settings.from_environment().key_store)
    match arguments.action:
        case "create":
            key, made = store.create(
                arguments.name,
                scopes=_scopes(arguments.scopes),
                requests_per_second=arguments.rate,
                lifetime=_lifetime(arguments.days),
            )
            print(f"{key.id}: keep the key, nothing shows it again", file=sys.stderr)
            print(made)
        case "list":
            keys = store.keys()
            if arguments.json:
                print_json([_describe(key) for key in keys])
            else:
                print(table(HEADER, [[*map(str, _describe(key).values())] for key in keys]))
        case "revoke":
            print(f"{store.revoke(arguments.id).id} is revoked")
    return 0


def _scopes(text: str) -> tuple[Scope, ...]:
    named = [name.strip() for name in text.split(",")]
    unknown = [name for name in named if name not in SCOPES]
    if unknown:
        raise KeysError(f"--scopes has {unknown[0]!r}: use some of {', '.join(SCOPES)}")
    return tuple(cast(Scope, name) for name in named)


def _lifetime(days: float) -> timedelta | None:
    if not 0 <= days <= MAX_DAYS:
        raise KeysError(f"--days is {days:g}: use a number from 0 (never) to {MAX_DAYS}")
    return timedelta(days=days) if days else None


def _describe(key: Key) -> dict[str, object]:
    """Say of a key what a listing shows."""
    if key.revoked_at:
        state = "revoked"
    elif key.expires_at and key.expires_at <= datetime.now(UTC):
        state = "expired"
    else:
        state = "in force"
    return {
        "id": key.id,
        "name": key.name,
        "scopes": ",".join(key.scopes),
        "requests_per_second": f"{key.requests_per_second:g}",
        "expires_at": f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never",
        "state": state,
    }
