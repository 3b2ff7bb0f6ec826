"""The auction site's own tables, to draw an auction's bids from."""

import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from flask_app.bids.database import open_database
from flask_app.bids.reading import read
from flask_app.bids.tables import Auction

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "512MB"
MAX_OTHERS = 20
"""Most other auctions that are listed."""
_ORDER = {"auctions": "auction_id", "bids": "auction_id, placed_at, length(bid_id), bid_id"}


class Bid(NamedTuple):
    """A bid; the time in µs since 1970."""

    bidder_id: str
    amount: float
    placed_at: int


class Other(NamedTuple):
    """Another auction of the same seller in which a bidder took part, with how many of its bids."""

    auction_id: str
    bids: int
    of: int


class Site:
    """The tables, read when told so; safe to use from several threads.

    Args:
        auctions: Where the table is, as `score` takes it; empty: there is none.
        bids: Likewise.
    """

    def __init__(self, auctions: str, bids: str) -> None:
        self._places = (auctions, bids)
        self._lock = threading.Lock()
        self._database: DuckDBPyConnection | None = None
        self._close = ExitStack()

    def read(self) -> None:
        """Read both tables anew; raises `DataError` or `JobError`, and keeps those read before."""
        if not all(self._places):
            return
        with ExitStack() as stack:
            work = Path(stack.enter_context(TemporaryDirectory(prefix="review-")))
            database = stack.enter_context(open_database(work, MEMORY_LIMIT))
            read(database, *self._places, datetime.now(UTC))
            for table, order in _ORDER.items():  # what is asked for together lies together
                database.execute(
                    f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {table} ORDER BY {order}"
                )
            with self._lock:
                self._close.close()
                self._close, self._database = stack.pop_all(), database

    def close(self) -> None:
        """Let go of what was read."""
        with self._lock:
            self._database = None
            self._close.close()

    def auction(self, auction_id: str) -> Auction | None:
        """Return an auction, None if the tables do not have it."""
        columns = ", ".join(Auction._fields)
        rows = self._ask(f"SELECT {columns} FROM auctions WHERE auction_id = ?", auction_id)
        return Auction(*rows[0]) if rows else None

    def bids(self, auction_id: str) -> list[Bid]:
        """Return an auction's bids, in their order."""
        return [
            Bid(*row)
            for row in self._ask(
                "SELECT bidder_id, amount, placed_at FROM bids WHERE auction_id = ? "
                f"ORDER BY {_ORDER['bids']}",
                auction_id,
            )
        ]

    def others(self, bidder_id: str, auction: Auction) -> list[Other]:
        """Return a bidder's other auctions with the seller, those with most of his bids first."""
        rows = self._ask(
            "SELECT auction_id, count(*) FILTER (bidder_id = ?) AS his, count(*) "
            "FROM bids JOIN auctions USING (auction_id) WHERE seller_id = ? AND auction_id <> ? "
            f"GROUP BY auction_id HAVING his > 0 ORDER BY his DESC, auction_id LIMIT {MAX_OTHERS}",
            *(bidder_id, auction.seller_id, auction.auction_id),
        )
        return [Other(*row) for row in rows]

    def _ask(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._lock:
            if self._database is None:
                return []
            return self._database.execute(query, values).fetchall()
