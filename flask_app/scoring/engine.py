"""What `score` needs of an engine: tables in, scored days out; and DuckDB, its default."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Self

import pyarrow as pa
from duckdb import DuckDBPyConnection

from flask_app.bids import features
from flask_app.bids.database import leave_open_auctions, open_database
from flask_app.bids.reading import Read, read
from flask_app.model.bands import Band
from flask_app.record import FEATURES
from flask_app.scoring.output import COUNT, Output
from flask_app.scoring.scorer import ROWS_AT_ONCE, Scorer

CLOSING_DAY = "CAST({} AS DATE)"
"""The day on which an auction closed, UTC, of its `closes_at` as a timestamp."""

Scored = tuple[date, Counter[Band]]
"""A day that was written, and how many of its records are in each band."""


class Engine(ABC):
    """Holds an auction site's tables, and computes records of them."""

    @classmethod
    @abstractmethod
    @contextmanager
    def opened(cls, work: Path, memory_limit: str) -> Iterator[Self]:
        """Give an engine that may use a directory and so much memory."""

    @abstractmethod
    def read(self, auctions: str, bids: str, now: datetime) -> Read:
        """Read and check both tables, see `bids.reading.read`."""

    @abstractmethod
    def leave_open_auctions(self, moment: datetime) -> int:
        """Drop the auctions that close at `moment` or later, and their bids; returns how many."""

    @abstractmethod
    def days(self) -> dict[date, int]:
        """Return the number of bids in the auctions that closed on each day, in order."""

    @abstractmethod
    def score(
        self, days: Mapping[date, int], scorer: Scorer, place: Output, again: Sequence[date]
    ) -> Iterator[Scored]:
        """Score days and write each into `place`, with its number of bids.

        Args:
            days: Which, and their numbers of bids.
            scorer: Scores records.
            place: Gets a file for each day.
            again: The days whose file is replaced.
        """


class DuckDB(Engine):
    """One machine; what does not fit into its memory goes on in files."""

    def __init__(self, database: DuckDBPyConnection) -> None:
        self._database = database

    @classmethod
    @contextmanager
    def opened(cls, work: Path, memory_limit: str) -> Iterator[Self]:
        """See `Engine.opened`."""
        with open_database(work, memory_limit) as database:
            yield cls(database)

    def read(self, auctions: str, bids: str, now: datetime) -> Read:
        """See `Engine.read`."""
        return read(self._database, auctions, bids, now)

    def leave_open_auctions(self, moment: datetime) -> int:
        """See `Engine.leave_open_auctions`."""
        return leave_open_auctions(self._database, moment)

    def days(self) -> dict[date, int]:
        """See `Engine.days`."""
        return dict(
            self._database.execute(
                f"SELECT {_DAY} AS day, count(*) "
                "FROM bids JOIN auctions USING (auction_id) GROUP BY day ORDER BY day"
            ).fetchall()
        )

    def score(
        self, days: Mapping[date, int], scorer: Scorer, place: Output, again: Sequence[date]
    ) -> Iterator[Scored]:
        """See `Engine.score`."""
        self._database.execute(
            f"CREATE TABLE records AS SELECT r.*, {_DAY} AS day "
            f"FROM ({features.sql()}) r JOIN auctions USING (auction_id)"
        )
        for day, bids in days.items():
            content, bands = scorer.parquet(self._records(day), {COUNT: str(bids)})
            place.write(day, content, bids, again=day in again)
            yield day, bands

    def _records(self, day: date) -> pa.RecordBatchReader:
        """Return a day's records, in order."""
        return self._database.sql(
            f"SELECT auction_id, bidder_id, {', '.join(FEATURES)} FROM records WHERE day = ? "
            "ORDER BY auction_id, bidder_id",
            params=[day],
        ).to_arrow_reader(ROWS_AT_ONCE)


_DAY = CLOSING_DAY.format("make_timestamp(closes_at)")
