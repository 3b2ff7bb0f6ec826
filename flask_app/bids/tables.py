"""The contract for an auction site's data: the tables `auctions` and `bids`.

Times are RFC 3339 with a zone, or Parquet timestamps with one. In the database they are whole
microseconds since 1970 in UTC, so that the features are the same arithmetic on every engine.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from flask_app.record import MAX_AUCTION_DURATION_DAYS

MAX_AMOUNT = 1e15
"""Larger amounts are taken for mistakes: floats no longer hold their cents."""
DAY = 86_400 * 10**6
"""µs."""
MAX_DURATION = int(MAX_AUCTION_DURATION_DAYS) * DAY
"""Longest auction, µs."""
LARGE_PART = 0.1
"""A bidder with this share of an auction's bids took a large part in it."""

Type = Literal["identifier", "amount", "time"]

SQL_TYPES: dict[Type, str] = {"identifier": "VARCHAR", "amount": "DOUBLE", "time": "BIGINT"}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its title in every file.
        type: What its values are: an identifier is that of a `Record`, an amount is
            above 0 and at most `MAX_AMOUNT`.
        description: What they say.
        required: Whether each row has one.
    """

    name: str
    type: Type
    description: str
    required: bool = True


@dataclass(frozen=True)
class Table:
    """One of the two tables.

    Attributes:
        name: What it is called.
        columns: Its columns, in any order in a file; the first identifies a row.
    """

    name: str
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        """The column that identifies a row."""
        return self.columns[0].name

    @property
    def definition(self) -> str:
        """The columns' names and types in SQL."""
        return ", ".join(f"{column.name} {SQL_TYPES[column.type]}" for column in self.columns)


class Auction(NamedTuple):
    """A row of `AUCTIONS`, as the database has it."""

    auction_id: str
    seller_id: str
    item_category: str | None
    starting_price: float
    opened_at: int
    closes_at: int


AUCTIONS = Table(
    "auctions",
    (
        Column("auction_id", "identifier", "The auction."),
        Column("seller_id", "identifier", "Who sells."),
        Column(
            "item_category",
            "identifier",
            "What is sold. Starting prices are compared within a category; auctions without one "
            "make one together.",
            required=False,
        ),
        Column("starting_price", "amount", "The lowest first bid, in the currency of the bids."),
        Column("opened_at", "time", "When it opened."),
        Column("closes_at", "time", "When it closes or closed: after it opened, within 366 days."),
    ),
)
BIDS = Table(
    "bids",
    (
        Column("bid_id", "identifier", "The bid. Of those of one moment, shorter ids come first."),
        Column("auction_id", "identifier", "The auction it is placed in."),
        Column("bidder_id", "identifier", "Who bids."),
        Column("amount", "amount", "The most the bidder will pay."),
        Column("placed_at", "time", "When it was placed, within the auction."),
    ),
)
