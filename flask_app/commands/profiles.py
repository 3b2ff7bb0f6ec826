"""`profiles`: make, list, promote and roll back snapshots of bidders' profiles.

A snapshot adds up the auctions that an auction site has held: what of a bidder's record one auction
does not show. `POST /score_auction` needs one. They are in the store SHILL_PROFILE_STORE, and
servers take up what is promoted within seconds.

Examples:
    shill profiles make --auctions site/auctions.csv --bids site/bids.csv
    shill profiles list
    shill profiles rollback

Exit status: 0 done, 1 tables, a snapshot or the store are at fault, and nothing has changed.
"""

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from flask_app.commands.model import look_into
from flask_app.commands.site import declare_tables
from flask_app.commands.table import table
from flask_app.profiles.snapshot import Profiles, ProfileStore, open_store
from flask_app.settings import Settings

HEADER = ("", "version", "until, UTC", "auctions", "bids", "bidders")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, summary: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=summary, description=summary)

    make = action("make", "add up the auctions that have closed, publish the snapshot, promote it")
    declare_tables(make)
    make.add_argument("--no-promote", action="store_true", help="publish it only")
    action("list", "show every snapshot; * is in use")
    publish = action("publish", "copy a snapshot into the store")
    publish.add_argument("directory", type=Path)
    promote = action("promote", "verify a snapshot and put it into use")
    promote.add_argument("version")
    action("rollback", "put the snapshot before this one back into use")


def run(arguments: argparse.Namespace) -> int:
    """Run one action; returns 1 if `list` finds a damaged snapshot, else 0."""
    store = open_store(Settings.from_environment())
    match arguments.action:
        case "make":
            _make(store, arguments)
        case "list":
            return _list(store)
        case "publish":
            print(store.publish(arguments.directory))
        case "promote":
            Profiles.load(store.fetch(arguments.version))
            print(store.promote(arguments.version).version)
        case "rollback":
            pointer = store.production()
            if pointer and pointer.previous:
                Profiles.load(store.fetch(pointer.previous))
            print(store.rollback().version)
    return 0


def _make(store: ProfileStore, arguments: argparse.Namespace) -> None:
    # Imported when needed: the serving image has no DuckDB.
    from flask_app.bids.database import leave_open_auctions, open_database  # noqa: PLC0415
    from flask_app.bids.reading import read  # noqa: PLC0415
    from flask_app.profiles.making import make_snapshot  # noqa: PLC0415

    now = datetime.now(UTC)
    with (
        tempfile.TemporaryDirectory(prefix="profiles-") as work,
        open_database(Path(work), arguments.memory_limit) as database,
    ):
        read(database, arguments.auctions, arguments.bids, now)
        still_open = leave_open_auctions(database, now)
        directory = make_snapshot(database, now, Path(work))
        manifest = Profiles.load(directory).manifest
        version = store.publish(directory)
    if not arguments.no_promote:
        store.promote(version)
    print(
        f"{version}: {manifest.auctions:,} auctions, {manifest.bids:,} bids and "
        f"{manifest.bidders:,} bidders until {manifest.until:%Y-%m-%d %H:%M} UTC; "
        f"{still_open:,} auctions are still open"
    )


def _list(store: ProfileStore) -> int:
    held = look_into(store)
    rows: list[list[str | float]] = [
        [
            "*" if manifest.version == held.promoted else "",
            manifest.version,
            f"{manifest.until:%Y-%m-%d %H:%M}",
            *(manifest.auctions, manifest.bids, manifest.bidders),
        ]
        for manifest in sorted(held.manifests, key=lambda manifest: manifest.until)
    ]
    print(table(HEADER, rows))
    return held.complain()
