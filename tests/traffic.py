"""Writes prediction and label logs as servers write them, of any time and content."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from unittest import mock

import msgspec
import pandas as pd

from flask_app.log.lines import LoggedLabel, LoggedPrediction
from flask_app.log.segment import LABELS, list_segments
from flask_app.log.writer import SegmentWriter
from flask_app.model.bundle import REFERENCE, Bundle
from flask_app.record import FEATURES, Record

NOW = 1_795_500_000.0
"""A time to count from, Unix time in s."""
VERSION = "tests-0123456789ab"

Line = TypeVar("Line")

_encoder = msgspec.json.Encoder()


def prediction_id(made_at: float, number: int = 0) -> str:
    """Make the id of a prediction made at `made_at`, Unix time in s."""
    time_ms = f"{round(made_at * 1000):012x}"
    return f"{time_ms[:8]}-{time_ms[8:]}-7000-8000-{number:012x}"


def prediction(made_at: float, number: int = 0, **changes: Any) -> LoggedPrediction:
    """Make a line of the prediction log; `changes` may name its fields and the record's."""
    fields: dict[str, Any] = {
        "prediction_id": prediction_id(made_at, number),
        "at": datetime.fromtimestamp(made_at, UTC),
        "model_version": VERSION,
        "probability": 0.25,
        "prediction": 0,
        "threshold": 0.5,
    }
    record: dict[str, Any] = {"auction_id": "1", **dict.fromkeys(FEATURES, 0.5)}
    for name, value in changes.items():
        (record if name in Record.__struct_fields__ else fields)[name] = value
    return LoggedPrediction(record=Record(**record), **fields)


def label(identifier: str, is_shill: bool | None, at: float, **changes: Any) -> LoggedLabel:
    """Make a line of the label log, of a label that came at `at`, Unix time in s."""
    time = datetime.fromtimestamp(at, UTC)
    return LoggedLabel(
        prediction_id=identifier, is_shill=is_shill, labelled_at=time, at=time, **changes
    )


def write(
    directory: Path, lines: Iterable[LoggedPrediction | LoggedLabel], *, at: float = NOW
) -> Path:
    """Append `lines` as a process of its own, whose clock shows `at`; returns their segment."""
    before = set(directory.glob("dt=*/*.jsonl"))
    with (
        mock.patch("time.time", return_value=at),
        mock.patch("time.time_ns", return_value=int(at * 1e9)),
    ):
        log = SegmentWriter(
            directory,
            segment_bytes=1 << 40,
            segment_seconds=1e9,
            fsync_seconds=3600,
        )
        assert log.append(b"".join(_encoder.encode(line) + b"\n" for line in lines))
        log.close()
    (segment,) = set(directory.glob("dt=*/*.jsonl")) - before
    return segment


class LogReader(Generic[Line]):
    """Iterates over the lines of a log as they were written, in the order of the segments.

    Attributes:
        torn_lines: Lines met so far that are incomplete.

    Args:
        directory: The log's directory; it may be empty or not exist yet.
        kind: What its lines are.
    """

    def __init__(self, directory: Path, kind: type[Line]) -> None:
        self._directory = directory
        self._decoder = msgspec.json.Decoder(kind)
        self.torn_lines = 0

    def __iter__(self) -> Iterator[Line]:
        for segment in list_segments(self._directory):
            with segment.open("rb") as lines:
                for line in lines:
                    try:
                        yield self._decoder.decode(line)
                    except msgspec.DecodeError:
                        self.torn_lines += 1


def write_labels(log_dir: Path, labels: Iterable[LoggedLabel], *, at: float = NOW) -> Path:
    """Append `labels` to the label log of the prediction log `log_dir`."""
    return write(log_dir / LABELS, labels, at=at)


def write_reference(directory: Path, bundle: Path) -> None:
    """Append a prediction, made now, of each row that `bundle` was trained on: nothing drifted."""
    manifest, now = Bundle.open(bundle).manifest, time.time()
    columns = [*FEATURES, "auction_id", "probability"]
    rows = pd.read_parquet(bundle / REFERENCE)[columns].to_numpy(object).tolist()
    lines = (
        prediction(
            now,
            number,
            model_version=manifest.version,
            prediction=int(row[-1] >= manifest.threshold.value),
            threshold=manifest.threshold.value,
            **dict(zip(columns, row, strict=True)),
        )
        for number, row in enumerate(rows)
    )
    write(directory, lines, at=now)
