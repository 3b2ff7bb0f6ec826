"""Spark as the engine of `score`, for tables that no machine holds.

The session is the one that `spark-submit` gives, or a local one. Features are computed by the same
expression as on DuckDB. Each day is one task: it scores the day's records in order and writes the
day's file itself, so nothing passes through the driver but counts.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from itertools import chain, groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from flask_app.bids import features
from flask_app.bids.reading import Read
from flask_app.bids.spark_reading import read
from flask_app.errors import AlreadyRunning, DataError, JobError
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES
from flask_app.scoring.engine import CLOSING_DAY, Engine, Scored
from flask_app.scoring.output import COUNT, Output
from flask_app.scoring.scorer import Scorer

_DAY = CLOSING_DAY.format("timestamp_micros(closes_at)")
_COUNTS = "day DATE, band STRING, records BIGINT"


class Spark(Engine):
    """Many machines, or the cores of one."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session

    @classmethod
    @contextmanager
    def opened(cls, work: Path, memory_limit: str) -> Iterator[Self]:
        """See `Engine.opened`; both arguments are for a session of our own."""
        # Workers are this Python, unless who submits the job says otherwise.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.appName("shill score")
        if "PYSPARK_GATEWAY_PORT" not in os.environ:  # not under spark-submit
            builder = (
                builder.master("local[*]")
                .config("spark.driver.memory", _memory(memory_limit))
                .config("spark.local.dir", str(work))
                .config("spark.ui.enabled", "false")
                .config("spark.ui.showConsoleProgress", sys.stderr.isatty())
                .config("spark.sql.shuffle.partitions", os.cpu_count() or 1)
            )
        session = builder.getOrCreate()
        session.conf.set("spark.sql.session.timeZone", "UTC")
        try:
            yield cls(session)
        finally:
            session.stop()

    def read(self, auctions: str, bids: str, now: datetime) -> Read:
        """See `Engine.read`."""
        found, self._auctions, self._bids = read(self._session, auctions, bids, now)
        self._register()
        return found

    def leave_open_auctions(self, moment: datetime) -> int:
        """See `Engine.leave_open_auctions`."""
        is_closed = f"closes_at < {int(moment.timestamp() * 1e6)}"
        before = self._auctions.count()
        self._auctions = self._auctions.filter(is_closed)
        self._bids = self._bids.join(self._auctions.select("auction_id"), "auction_id", "left_semi")
        self._register()
        return int(before - self._auctions.count())

    def days(self) -> dict[date, int]:
        """See `Engine.days`."""
        counted = self._session.sql(
            f"SELECT {_DAY} AS day, count(*) FROM bids JOIN auctions USING (auction_id) "
            "GROUP BY day ORDER BY day"
        )
        return dict(counted.collect())

    def score(
        self, days: Mapping[date, int], scorer: Scorer, place: Output, again: Sequence[date]
    ) -> Iterator[Scored]:
        """See `Engine.score`."""
        task = _Task(
            Bundle.open(scorer.predictor.directory).contents(),
            scorer.now,
            scorer.explain,
            place,
            dict(days),
            frozenset(again),
        )
        columns = ["day", "auction_id", "bidder_id", *FEATURES]
        records: DataFrame = (
            self._session.sql(
                f"SELECT r.*, {_DAY} AS day FROM ({features.sql('pyspark')}) r "
                "JOIN auctions USING (auction_id)"
            )
            .select(columns)
            .join(self._session.createDataFrame([(day,) for day in days], "day DATE"), "day")
            .repartition(len(days), "day")
            .sortWithinPartitions("day", "auction_id", "bidder_id")
        )
        try:
            counted = records.mapInArrow(task, _COUNTS).collect()
        except (PySparkException, Py4JError) as error:
            # Of a task's traceback, the last line is what was raised.
            cause = str(error).strip().splitlines()[-1]
            raise JobError(
                f"a task of Spark failed ({cause}): mend that, then run score again; days that "
                "were written stay"
            ) from error
        for day, rows in groupby(counted, key=lambda row: row["day"]):
            yield day, Counter({row["band"]: row["records"] for row in rows})

    def _register(self) -> None:
        self._auctions.createOrReplaceTempView("auctions")
        self._bids.createOrReplaceTempView("bids")


class _Task:
    """Scores the days of a partition, on whatever machine has it.

    Args:
        bundle: The model's files, by name.
        now: When the records are scored.
        explain: Whether records to review or to block get their reasons.
        place: Gets the files.
        days: The number of bids of each day.
        again: The days whose file is replaced.
    """

    def __init__(
        self,
        bundle: Mapping[str, bytes],
        now: datetime,
        explain: bool,
        place: Output,
        days: Mapping[date, int],
        again: frozenset[date],
    ) -> None:
        self._bundle = dict(bundle)
        self._now = now
        self._explain = explain
        self._place = place
        self._days = days
        self._again = again

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write each day's file; yields how many of its records are in each band."""
        scorer = Scorer(self._predictor(), self._now, self._explain)
        rows = chain.from_iterable(map(_by_day, batches))
        for day, parts in groupby(rows, key=lambda part: part[0]):
            bids = self._days[day]
            content, bands = scorer.parquet((part for _, part in parts), {COUNT: str(bids)})
            self._write(day, content, bids)
            yield pa.RecordBatch.from_pydict(
                {
                    "day": [day] * len(bands),
                    "band": list(bands),
                    "records": list(bands.values()),
                },
                schema=pa.schema(
                    [("day", pa.date32()), ("band", pa.string()), ("records", pa.int64())]
                ),
            )

    def _write(self, day: date, content: bytes, bids: int) -> None:
        try:
            self._place.write(day, content, bids, again=day in self._again)
        except AlreadyRunning:
            if self._place.bids(day) != bids:
                raise
            # An earlier run of this task wrote it, and died before it could say so.

    def _predictor(self) -> Predictor:
        with TemporaryDirectory(prefix="bundle-") as directory:
            for name, content in self._bundle.items():
                (Path(directory) / name).write_bytes(content)
            return Predictor.load(Path(directory))


def _memory(limit: str) -> str:
    """Write a limit of memory as Java has it."""
    found = re.fullmatch(r"(\d+)\s*([KMGT])i?B", limit, re.IGNORECASE)
    if not found:
        raise DataError(f"memory limit {limit}: write it as 2GB")
    return "".join(found.groups())


def _by_day(batch: pa.RecordBatch) -> Iterator[tuple[date, pa.RecordBatch]]:
    """Split a batch, which is in order, where a new day begins."""
    days = batch["day"].to_pylist()
    start = 0
    for day, rows in groupby(days):
        count = len(list(rows))
        yield day, batch.slice(start, count)
        start += count
