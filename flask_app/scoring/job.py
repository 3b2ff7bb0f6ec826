"""The job behind `score`: an auction site's tables in, scored records out, one file a day.

    OUTPUT/dt=YYYY-MM-DD/scored.parquet    auctions that closed on that day, UTC

A file appears whole, and a day that has one is not scored again, so a run that was killed goes on
where it ended and no record is there twice. Bids that arrive after their day was scored are told.
"""

import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from flask_app import files
from flask_app.archive.segments import PREDICTIONS, RECORD_SCHEMA
from flask_app.bids import features
from flask_app.bids.reading import Read, read
from flask_app.errors import BundleError, DataError
from flask_app.log.ids import prediction_ids
from flask_app.model.bands import NAMES, Band
from flask_app.model.bands import places as band_places
from flask_app.model.predictor import Predictor
from flask_app.model.reasons import Explainer
from flask_app.record import FEATURES, SCHEMA_ID

FILE = "scored.parquet"
_REASON = pa.struct(
    [
        ("feature", pa.string()),
        *((name, pa.float64()) for name in ("value", "typical", "contribution")),
        ("sentence", pa.string()),
    ]
)
SCHEMA = pa.schema([*PREDICTIONS.schema, ("band", pa.string()), ("reasons", pa.list_(_REASON))])
"""Of the files. What the archive's predictions have comes first: what is scored here reads as what
is there."""
ROWS_AT_ONCE = 20_000
"""Rows that are scored at once: their columns stay in the processor's cache."""

SHARES = 64
"""Parts into which the records to explain are split for the threads."""

Floats = NDArray[np.float64]

_BIDS = "bids"
"""The metadata that tells from how many bids a day was scored."""
_KILLED = ".work-"


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
    output: Path,
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
        output: A directory; made if need be.
        again: Days to score though they have a file, which is replaced.
        explain: Whether records to review or to block get their reasons.
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
    scorer = _Scorer(predictor, now, explain)
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
                records = _records(database, day)
                content, bands = scorer.parquet(records, {_BIDS: str(days[day])})
                files.write(_path(output, day), content)
                outcome.days.append(day)
                outcome.bands += bands
    return outcome


def _database(work: Path, memory_limit: str) -> DuckDBPyConnection:
    try:
        database = duckdb.connect(
            str(work / "tables.duckdb"),
            config={"memory_limit": memory_limit, "temp_directory": str(work)},
        )
    except duckdb.Error as error:
        raise DataError(f"memory limit {memory_limit}: {error}: write it as 2GB") from None
    database.execute(f"SET enable_progress_bar = {sys.stderr.isatty()}")
    return database


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


def _records(database: DuckDBPyConnection, day: date) -> pa.RecordBatchReader:
    """Return a day's records, in order."""
    return database.sql(
        f"SELECT auction_id, bidder_id, {', '.join(FEATURES)} FROM records WHERE day = ? "
        "ORDER BY auction_id, bidder_id",
        params=[day],
    ).to_arrow_reader(ROWS_AT_ONCE)


class _Scorer:
    """Makes scored records of records."""

    def __init__(self, predictor: Predictor, now: datetime, explain: bool) -> None:
        self._predictor = predictor
        self._now = now.astimezone(UTC).replace(tzinfo=None)
        self._explainer = Explainer(predictor) if explain else None
        # ONNX Runtime lets go of the interpreter, so threads use every core.
        self._threads = ThreadPoolExecutor(os.cpu_count())

    def parquet(
        self, records: Iterable[pa.RecordBatch], metadata: dict[str, str]
    ) -> tuple[bytes, Counter[Band]]:
        """Return a Parquet file of `records`, scored, and how many are in each band."""
        content = io.BytesIO()
        bands: Counter[Band] = Counter()
        with pq.ParquetWriter(content, SCHEMA, compression="zstd", store_schema=False) as writer:
            for batch in records:
                scored = self._scored(batch)
                writer.write_batch(scored)
                bands.update(scored["band"].to_pylist())
            writer.add_key_value_metadata({RECORD_SCHEMA: SCHEMA_ID, **metadata})
        return content.getvalue(), bands

    def _scored(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Give records the columns of `SCHEMA`; raises `BundleError` for a score that is none."""
        predictor = self._predictor
        rows = np.column_stack([records[name].to_numpy() for name in FEATURES])
        probabilities = predictor.predict(rows.astype(np.float32))
        if not np.all((probabilities >= 0) & (probabilities <= 1)):
            raise BundleError(
                f"model {predictor.version} gave a score that is no probability: train anew"
            )
        count = len(probabilities)
        places = band_places(probabilities, predictor.manifest.bands)
        columns = {
            "prediction_id": prediction_ids(count),
            "at": [self._now] * count,
            "model_version": [predictor.version] * count,
            "probability": probabilities,
            "prediction": (probabilities >= predictor.threshold).astype(np.int8),
            "threshold": np.full(count, predictor.threshold),
            "band": [NAMES[place] for place in places],
            "reasons": self._reasons(rows, places),
        }
        return pa.record_batch(
            [columns[name] if name in columns else records[name] for name in SCHEMA.names],
            schema=SCHEMA,
        )

    def _reasons(self, rows: Floats, places: NDArray[np.intp]) -> list[list[dict[str, Any]] | None]:
        """Explain what is above the lowest band."""
        reasons: list[list[dict[str, Any]] | None] = [None] * len(rows)
        flagged = np.flatnonzero(places)
        if self._explainer and flagged.size:
            shares = np.array_split(flagged, min(len(flagged), SHARES))
            explained = self._threads.map(self._explainer.reasons, [rows[of] for of in shares])
            for place, told in zip(flagged.tolist(), chain(*explained), strict=True):
                reasons[place] = [msgspec.structs.asdict(reason) for reason in told]
        return reasons


def _path(output: Path, day: date) -> Path:
    return output / f"dt={day}" / FILE
