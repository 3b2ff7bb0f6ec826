"""The job behind `score`: an auction site's tables in, scored records out, one file a day.

    OUTPUT/dt=YYYY-MM-DD/scored.parquet    auctions that closed on that day, UTC

A file appears whole, and a day that has one is not scored again, so a run that was killed goes on
where it ended and no record is there twice. Bids that arrive after their day was scored are told.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from duckdb import DuckDBPyConnection

from flask_app import files
from flask_app.archive.segments import PREDICTIONS, RECORD_SCHEMA
from flask_app.bids import features
from flask_app.bids.reading import Read, read
from flask_app.errors import BundleError, DataError
from flask_app.log.ids import prediction_ids
from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES, SCHEMA_ID

FILE = "scored.parquet"
SCHEMA = PREDICTIONS.schema
"""Of the files, and of the archive's predictions: what is scored here reads as what is there."""
ROWS_AT_ONCE = 20_000
"""Rows that are scored at once: their columns stay in the processor's cache."""

_BIDS = "bids"
"""The metadata that tells from how many bids a day was scored."""
_KILLED = ".work-"


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        read: What was there.
        open_auctions: Left for later: they close today or later, UTC.
        records: Scored by this run.
        shills: Of these, at or above the threshold.
        days: Scored by this run.
        days_before: Scored by earlier runs, and left alone.
        late: By day, how many bids more it has than it was scored from.
    """

    read: Read
    open_auctions: int = 0
    records: int = 0
    shills: int = 0
    days: list[date] = field(default_factory=list)
    days_before: int = 0
    late: dict[date, int] = field(default_factory=dict)


def run(
    predictor: Predictor,
    auctions: str,
    bids: str,
    output: Path,
    *,
    again: Sequence[date] = (),
    memory_limit: str = "2GB",
    now: datetime | None = None,
    progress: Callable[[list[date]], Iterable[date]] = iter,
) -> Outcome:
    """Score every closed auction whose day is over and has no file yet.

    Args:
        predictor: The model.
        auctions: Where the table is: a file, a directory or s3://BUCKET/PREFIX.
        bids: Likewise.
        output: A directory; made if need be.
        again: Days to score though they have a file, which is replaced.
        memory_limit: What DuckDB may take before it goes on in a file in `output`.
        now: The time; by default, now.
        progress: Given the days to score, yields them.

    Raises:
        AlreadyRunning: Another run writes to `output`.
        BundleError: The model gave a score that is no probability.
        DataError: The tables cannot be read or are wrong, or `again` names a day without auctions.
        JobError: `output` cannot be written.
    """
    now = now or datetime.now(UTC)
    with files.locked(output):
        for left_over in output.glob(f"{_KILLED}*"):
            files.delete(left_over)
        with (
            TemporaryDirectory(dir=output, prefix=_KILLED) as work,
            _database(Path(work), memory_limit) as database,
        ):
            outcome = Outcome(read(database, auctions, bids, now))
            outcome.open_auctions = _leave_open_auctions(database, now.date())
            _compute_records(database)
            days = _days(database)
            if unknown := set(again) - set(days):
                raise DataError(f"{min(unknown)}: no auction closed on that day: leave it out")
            for day in progress(_to_score(days, output, again, outcome)):
                records, shills = _score_day(database, predictor, output, day, days[day], now)
                outcome.days.append(day)
                outcome.records += records
                outcome.shills += shills
    return outcome


def _database(work: Path, memory_limit: str) -> DuckDBPyConnection:
    try:
        return duckdb.connect(
            str(work / "tables.duckdb"),
            config={"memory_limit": memory_limit, "temp_directory": str(work)},
        )
    except duckdb.Error as error:
        raise DataError(f"memory limit {memory_limit}: {error}: write it as 2GB") from None


def _leave_open_auctions(database: DuckDBPyConnection, today: date) -> int:
    """Drop the auctions that close today or later: their day is scored as a whole."""
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    is_open = f"closes_at >= {int(midnight.timestamp() * 1e6)}"
    database.execute(
        f"DELETE FROM bids WHERE auction_id IN (SELECT auction_id FROM auctions WHERE {is_open})"
    )
    ((deleted,),) = database.execute(f"DELETE FROM auctions WHERE {is_open}").fetchall()
    return int(deleted)


def _compute_records(database: DuckDBPyConnection) -> None:
    """Make the table `records`, with the day and the number of bids of their auction."""
    database.execute(
        "CREATE TABLE records AS SELECT r.*, "
        "CAST(make_timestamp(closes_at) AS DATE) AS day "
        f"FROM ({features.sql()}) r JOIN auctions USING (auction_id)"
    )


def _days(database: DuckDBPyConnection) -> dict[date, int]:
    """Return the number of bids of each day, in order."""
    return dict(
        database.execute(
            "SELECT CAST(make_timestamp(closes_at) AS DATE) AS day, count(*) "
            "FROM bids JOIN auctions USING (auction_id) GROUP BY day ORDER BY day"
        ).fetchall()
    )


def _to_score(
    days: dict[date, int], output: Path, again: Sequence[date], outcome: Outcome
) -> list[date]:
    """Choose the days without a file, and tell of those whose bids have become more."""
    chosen = []
    for day, bids in days.items():
        path = _path(output, day)
        if day in again or not path.exists():
            chosen.append(day)
            continue
        outcome.days_before += 1
        scored_from = int((pq.read_metadata(path).metadata or {})[_BIDS.encode()])
        if bids != scored_from:
            outcome.late[day] = bids - scored_from
    return chosen


def _score_day(
    database: DuckDBPyConnection,
    predictor: Predictor,
    output: Path,
    day: date,
    bids: int,
    now: datetime,
) -> tuple[int, int]:
    """Write a day's file; returns its records and how many of them are shills."""
    found = database.sql(
        f"SELECT auction_id, bidder_id, {', '.join(FEATURES)} FROM records WHERE day = ? "
        "ORDER BY auction_id, bidder_id",
        params=[day],
    ).to_arrow_reader(ROWS_AT_ONCE)
    records = shills = 0
    content = io.BytesIO()
    with pq.ParquetWriter(content, SCHEMA, compression="zstd", store_schema=False) as writer:
        for batch in found:
            scored = _scored(batch, predictor, now)
            writer.write_batch(scored)
            records += scored.num_rows
            shills += int(np.sum(scored["prediction"].to_numpy()))
        writer.add_key_value_metadata({RECORD_SCHEMA: SCHEMA_ID, _BIDS: str(bids)})
    files.write(_path(output, day), content.getvalue())
    return records, shills


def _scored(records: pa.RecordBatch, predictor: Predictor, now: datetime) -> pa.RecordBatch:
    """Score records, and give them the columns of `SCHEMA`."""
    rows = np.column_stack([records[name].to_numpy() for name in FEATURES]).astype(np.float32)
    probabilities = predictor.predict(rows)
    if not np.all((probabilities >= 0) & (probabilities <= 1)):
        raise BundleError(
            f"model {predictor.version} gave a score that is no probability: train anew"
        )
    count = len(probabilities)
    columns = {
        "prediction_id": prediction_ids(count),
        "at": [now.replace(tzinfo=None)] * count,
        "model_version": [predictor.version] * count,
        "probability": probabilities,
        "prediction": (probabilities >= predictor.threshold).astype(np.int8),
        "threshold": np.full(count, predictor.threshold),
    }
    return pa.record_batch(
        [columns[name] if name in columns else records[name] for name in SCHEMA.names],
        schema=SCHEMA,
    )


def _path(output: Path, day: date) -> Path:
    return output / f"dt={day}" / FILE
