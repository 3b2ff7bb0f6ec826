"""Makes a snapshot of the profiles from an auction site's tables."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from duckdb import DuckDBPyConnection

from flask_app.bids import features
from flask_app.profiles.snapshot import (
    DATABASE,
    NAME,
    SCHEMA_VERSION,
    TABLES,
    Manifest,
    Snapshot,
)
from flask_app.record import SCHEMA_ID
from flask_app.store.bundle import write

_ROWS_AT_ONCE = 100_000


def make_snapshot(database: DuckDBPyConnection, until: datetime, work: Path) -> Path:
    """Add up auctions and write the snapshot.

    Args:
        database: Has the tables `auctions` and `bids` as the contract says; those still open at
            `until` have been left out.
        until: When the last of them had closed.
        work: Existing directory that gets the snapshot and needs room for it twice.

    Returns:
        The snapshot's directory.
    """
    path = work / DATABASE
    with closing(sqlite3.connect(path)) as profiles:
        profiles.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {TABLES}")
        for name, query in _SUMS.items():
            database.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
        for table, query in _ROWS.items():
            _fill(profiles, table, database.execute(query))
        profiles.commit()
        (auctions, bids), (bidders,) = (
            profiles.execute(query).fetchone()
            for query in ("SELECT auctions, bids FROM market", "SELECT count(*) FROM bidders")
        )
    content = path.read_bytes()
    path.unlink()
    draft = Manifest(
        schema_version=SCHEMA_VERSION,
        version=NAME,
        created_at=datetime.now(UTC).replace(microsecond=0),
        until=until.astimezone(UTC).replace(microsecond=0),
        auctions=auctions,
        bids=bids,
        bidders=bidders,
        record_schema=SCHEMA_ID,
        files={},
    )
    return write(work, Snapshot, draft, {DATABASE: content})


_SUMS = {
    "parts": features.parts_sql(),
    "profiled_bidders": """
        SELECT bidder_id, row_number() OVER (ORDER BY bidder_id) AS number,
            count(*) AS auctions, sum(won)::BIGINT AS won, sum(bids)::BIGINT AS bids
        FROM parts GROUP BY bidder_id""",
    "profiled_sellers": """
        SELECT seller_id, row_number() OVER (ORDER BY seller_id) AS number
        FROM parts GROUP BY seller_id""",
    "profiled_auctions": """
        SELECT auction_id, any_value(item_category) AS item_category,
            any_value(starting_price) AS starting_price, sum(bids)::BIGINT AS bids
        FROM parts GROUP BY auction_id""",
}
_ROWS = {
    "market": "SELECT count(*), coalesce(sum(bids)::BIGINT, 0) FROM profiled_auctions",
    "categories": """
        SELECT coalesce(item_category, '') AS category, count(*),
            sum(starting_price ORDER BY auction_id)
        FROM profiled_auctions GROUP BY category ORDER BY category""",
    "sellers": "SELECT seller_id, number FROM profiled_sellers ORDER BY seller_id",
    "bidders": "SELECT bidder_id, number, auctions, won, bids FROM profiled_bidders "
    "ORDER BY bidder_id",
    "pairs": """
        SELECT bidder.number, seller.number, sum(parts.bids)::BIGINT FROM parts
        JOIN profiled_bidders bidder USING (bidder_id)
        JOIN profiled_sellers seller USING (seller_id)
        GROUP BY ALL ORDER BY ALL""",
    "held": "SELECT auction_id FROM profiled_auctions ORDER BY auction_id",
}
"""What each table of the snapshot gets, in the order of its key."""


def _fill(profiles: sqlite3.Connection, table: str, found: DuckDBPyConnection) -> None:
    columns = len(found.description or ())
    insert = f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})"
    while rows := found.fetchmany(_ROWS_AT_ONCE):
        profiles.executemany(insert, rows)
