"""What there is to decide: each bidder in each auction, by his latest prediction, and its label.

The logs and the archive are read as `query` reads them, in the background, into a table in memory.
What the desk itself writes is in that table at once.
"""

import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import duckdb
from duckdb import DuckDBPyConnection

from flask_app.archive.query import connect
from flask_app.errors import ArchiveError
from flask_app.model.bands import NAMES as BANDS
from flask_app.model.bands import Band
from flask_app.model.bundle import Bands
from flask_app.record import FEATURES

State = Literal["open", "shill", "honest", "skipped"]
STATES: tuple[State, ...] = get_args(State)
PAGE_ROWS = 50

_BIDDER = "coalesce(bidder_id, prediction_id)"
_STATE = """CASE WHEN is_shill THEN 'shill' WHEN NOT is_shill THEN 'honest'
    WHEN skipped THEN 'skipped' ELSE 'open' END"""
_ITEMS = f"""
CREATE TABLE items AS
WITH latest AS (
    SELECT prediction_id, "at", auction_id, {_BIDDER} AS bidder_id, probability,
        {", ".join(FEATURES)}
    FROM predictions
    QUALIFY 1 = row_number() OVER (
        PARTITION BY auction_id, {_BIDDER} ORDER BY prediction_id DESC)
    ORDER BY prediction_id DESC LIMIT $rows
), said AS (
    SELECT p.auction_id, p.bidder_id, l.is_shill, l.skipped, l.reviewer, l.comment
    FROM labels l JOIN (
        SELECT prediction_id, auction_id, {_BIDDER} AS bidder_id FROM predictions
    ) p USING (prediction_id)
    QUALIFY 1 = row_number() OVER (
        PARTITION BY p.auction_id, p.bidder_id ORDER BY l."at" DESC, l.labelled_at DESC)
)
SELECT latest.*, said.* EXCLUDE (auction_id, bidder_id),
    CASE WHEN probability >= $block THEN 'block' WHEN probability >= $review THEN 'review'
        ELSE 'clear' END AS band,
    md5_number_upper(latest.auction_id || chr(0) || latest.bidder_id) / 2.0 ** 64 < $sample
        AS is_drawn
FROM latest LEFT JOIN said USING (auction_id, bidder_id)
"""
_COLUMNS = (
    f'prediction_id, "at", auction_id, bidder_id, probability, band, is_drawn, {_STATE} AS state, '
    f"reviewer, comment, {', '.join(FEATURES)}"
)


class Item(NamedTuple):
    """A bidder in an auction.

    Attributes:
        prediction_id: His latest prediction.
        at: When it was made, UTC.
        auction_id: The auction.
        bidder_id: Who; the prediction's id where nobody is named.
        probability: Of a shill.
        band: By the bands of the model in production.
        is_drawn: Whether he is in the random sample.
        state: What was said of him.
        reviewer: Who said so.
        comment: And what besides.
        features: In the order of `FEATURES`.
    """

    prediction_id: str
    at: datetime
    auction_id: str
    bidder_id: str
    probability: float
    band: Band
    is_drawn: bool
    state: State
    reviewer: str | None
    comment: str | None
    features: tuple[float, ...]


class ListedAuction(NamedTuple):
    """An auction as the queue shows it."""

    auction_id: str
    probability: float
    bidders: int
    flagged: int
    still_open: int


@dataclass(frozen=True)
class Filter:
    """Which bidders a page of the queue shows.

    Attributes:
        bands: Of these bands.
        states: In these states.
        drawn: Only those of the random sample that no band flags.
        text: Only those whose auction or bidder begins so.
        page: From 1.
    """

    bands: tuple[Band, ...] = ("block", "review")
    states: tuple[State, ...] = ("open",)
    drawn: bool = False
    text: str = ""
    page: int = 1

    @property
    def condition(self) -> tuple[str, list[Any]]:
        """SQL that is true for them, and its parameters."""
        bands = ("clear",) if self.drawn else self.bands
        terms = ["list_contains(?, band)", f"list_contains(?, {_STATE})"]
        values: list[Any] = [list(bands), list(self.states)]
        if self.drawn:
            terms.append("is_drawn")
        if self.text:
            terms.append("(starts_with(auction_id, ?) OR starts_with(bidder_id, ?))")
            values += [self.text, self.text]
        return " AND ".join(terms), values


class Decided(NamedTuple):
    """What somebody has said of a bidder in an auction."""

    auction_id: str
    bidder_id: str
    is_shill: bool | None
    skipped: bool
    reviewer: str
    comment: str | None


class Index:
    """The table, made anew when told so; safe to use from several threads.

    Args:
        log_dir: The prediction log of this host.
        archive: What SHILL_ARCHIVE names, or nothing.
        rows: Most bidders it holds, the latest.
        sample: Share of the bidders that is drawn.
    """

    def __init__(self, log_dir: Path, archive: str, rows: int, sample: float) -> None:
        self._log_dir = log_dir
        self._archive = archive
        self._rows = rows
        self._sample = sample
        self._lock = threading.Lock()
        self._database: DuckDBPyConnection | None = None
        self._since: list[Decided] = []

    def refresh(self, bands: Bands) -> None:
        """Read everything anew; raises `ArchiveError` if something is unreadable."""
        with self._lock:
            self._since = []
        limits = {"review": bands.review.threshold, "block": bands.block.threshold}
        try:
            database = connect(self._log_dir, self._archive)
            database.execute(_ITEMS, {"rows": self._rows, "sample": self._sample, **limits})
        except (duckdb.Error, OSError) as error:
            places = " and ".join(filter(None, (str(self._log_dir), self._archive)))
            raise ArchiveError(
                f"what {places} hold cannot be read ({error}): give the desk access to it, or put "
                "what is damaged aside"
            ) from error
        with self._lock:
            for decided in self._since:  # while this was being read
                _note(database, decided)
            self._database = database

    def note(self, decided: Decided) -> None:
        """Show from now on what somebody has said."""
        with self._lock:
            self._since.append(decided)
            if self._database is not None:
                _note(self._database, decided)

    def bidders(self, wanted: Filter) -> list[Item]:
        """Return a page of bidders, the most suspicious first."""
        condition, values = wanted.condition
        return self._items(
            f"WHERE {condition} ORDER BY probability DESC, auction_id, bidder_id "
            f"LIMIT {PAGE_ROWS} OFFSET {(wanted.page - 1) * PAGE_ROWS}",
            values,
        )

    def auctions(self, wanted: Filter) -> list[ListedAuction]:
        """Return a page of the auctions that have such bidders, the most suspicious first."""
        condition, values = wanted.condition
        rows = self._ask(
            "SELECT auction_id, max(probability) AS highest, count(*), "
            f"count(*) FILTER (band <> 'clear'), count(*) FILTER ({_STATE} = 'open') "
            f"FROM items WHERE auction_id IN (SELECT auction_id FROM items WHERE {condition}) "
            "GROUP BY auction_id ORDER BY highest DESC, auction_id "
            f"LIMIT {PAGE_ROWS} OFFSET {(wanted.page - 1) * PAGE_ROWS}",
            values,
        )
        return [ListedAuction(*row) for row in rows]

    def count(self, wanted: Filter, of: Literal["bidders", "auctions"]) -> int:
        """Return how many there are on all pages."""
        condition, values = wanted.condition
        what = "*" if of == "bidders" else "DISTINCT auction_id"
        ((count,),) = self._ask(f"SELECT count({what}) FROM items WHERE {condition}", values)
        return int(count)

    def auction(self, auction_id: str) -> list[Item]:
        """Return the bidders of an auction, the most suspicious first."""
        order = "ORDER BY probability DESC, bidder_id"
        return self._items(f"WHERE auction_id = ? {order}", [auction_id])

    def item(self, prediction_id: str) -> Item | None:
        """Return a bidder by his latest prediction."""
        found = self._items("WHERE prediction_id = ?", [prediction_id])
        return found[0] if found else None

    def strata(self) -> dict[Band, tuple[int, int, int]]:
        """Return by band how many there are, how many of them are judged, how many are shills.

        Of those that no band flags, the judged are those of the random sample.
        """
        rows = self._ask(
            "SELECT band, count(*), "
            "count(is_shill) FILTER (band <> 'clear' OR is_drawn), "
            "count(*) FILTER (is_shill AND (band <> 'clear' OR is_drawn)) "
            "FROM items GROUP BY band",
            [],
        )
        found = {band: (held, judged, shills) for band, held, judged, shills in rows}
        return {band: found.get(band, (0, 0, 0)) for band in BANDS}

    def _items(self, rest: str, values: list[Any]) -> list[Item]:
        count = len(Item._fields) - 1
        rows = self._ask(f"SELECT {_COLUMNS} FROM items {rest}", values)
        return [Item._make((*row[:count], row[count:])) for row in rows]

    def _ask(self, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        with self._lock:
            database = self._database
        if database is None:
            return []
        with database.cursor() as cursor:
            return cursor.execute(query, values).fetchall()


def _note(database: DuckDBPyConnection, decided: Decided) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE items SET is_shill = ?, skipped = ?, reviewer = ?, comment = ? "
            "WHERE auction_id = ? AND bidder_id = ?",
            [*decided[2:], *decided[:2]],
        )
