"""The job behind `score`: an auction site's tables in, scored records out, one file a day.

Bids that arrive after their day was scored are told.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa
from duckdb import DuckDBPyConnection

from flask_app.bids import features
from flask_app.bids.database import leave_open_auctions, open_database
from flask_app.bids.reading import Read, read
from flask_app.errors import DataError
from flask_app.model.bands import Band
from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES
from flask_app.scoring.output import COUNT, open_output
from flask_app.scoring.scorer import ROWS_AT_ONCE, Scorer

_CLOSING_DAY = "CAST(make_timestamp(closes_at) AS DATE)"


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        read: What was there.
        open_auctions: Left for later: they close today or later, UTC.
        bands: How many records this run scored, by band.
        days: Scored by this run.
        days_before: Scored by earlier runs, and left alone.
        late: By day, how many bids more it has than it was scored from.
    """

    read: Read
    open_auctions: int = 0
    bands: Counter[Band] = field(default_factory=Counter)
    days: list[date] = field(default_factory=list)
    days_before: int = 0
    late: dict[date, int] = field(default_factory=dict)


def run(
    predictor: Predictor,
    auctions: str,
    bids: str,
    output: str,
    *,
    again: Sequence[date] = (),
    explain: bool = True,
    memory_limit: str = "2GB",
    now: datetime | None = None,
    progress: Callable[[list[date]], Iterable[date]] = iter,
) -> Outcome:
    """Score every closed auction whose day is over and has no file yet.

    Args:
        predictor: The model.
        auctions: Where the table is: a file, a directory or s3://BUCKET/PREFIX.
        bids: Likewise.
        output: A directory, made if need be, or s3://BUCKET/PREFIX.
        again: Days to score though they have a file, which is replaced.
        explain: Whether records to review or to block get their reasons.
        memory_limit: What DuckDB may take before it goes on in a file.
        now: The time; by default, now.
        progress: Given the days to score, yields them.

    Raises:
        AlreadyRunning: Another run writes to `output`.
        BundleError: The model gave a score that is no probability.
        DataError: The tables cannot be read or are wrong, or `again` names a day without auctions.
        JobError: `output` cannot be written, or the database has no room.
        S3Error: S3 does not answer, or refuses.
    """
    now = now or datetime.now(UTC)
    scorer = Scorer(predictor, now, explain)
    place = open_output(output)
    with place.work() as work, open_database(work, memory_limit) as database:
        outcome = Outcome(read(database, auctions, bids, now))
        # An open auction's day is scored as a whole, and today is not over.
        today = datetime(now.year, now.month, now.day, tzinfo=UTC)
        outcome.open_auctions = leave_open_auctions(database, today)
        _compute_records(database)
        days = _days(database)
        if unknown := set(again) - set(days):
            raise DataError(f"{min(unknown)}: no auction closed on that day: leave it out")
        held = place.held() & days.keys() - set(again)
        outcome.days_before = len(held)
        outcome.late = {
            day: days[day] - scored_from
            for day in sorted(held)
            if (scored_from := place.bids(day)) != days[day]
        }
        for day in progress([day for day in days if day not in held]):
            content, bands = scorer.parquet(_records(database, day), {COUNT: str(days[day])})
            place.write(day, content, days[day], again=day in again)
            outcome.days.append(day)
            outcome.bands += bands
    return outcome


def _compute_records(database: DuckDBPyConnection) -> None:
    """Make the table `records`, each with the day on which its auction closed."""
    database.execute(
        f"CREATE TABLE records AS SELECT r.*, {_CLOSING_DAY} AS day "
        f"FROM ({features.sql()}) r JOIN auctions USING (auction_id)"
    )


def _days(database: DuckDBPyConnection) -> dict[date, int]:
    """Return the number of bids of each day, in order."""
    return dict(
        database.execute(
            f"SELECT {_CLOSING_DAY} AS day, count(*) "
            "FROM bids JOIN auctions USING (auction_id) GROUP BY day ORDER BY day"
        ).fetchall()
    )


def _records(database: DuckDBPyConnection, day: date) -> pa.RecordBatchReader:
    """Return a day's records, in order."""
    return database.sql(
        f"SELECT auction_id, bidder_id, {', '.join(FEATURES)} FROM records WHERE day = ? "
        "ORDER BY auction_id, bidder_id",
        params=[day],
    ).to_arrow_reader(ROWS_AT_ONCE)
