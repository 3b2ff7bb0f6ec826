"""Segments of the two logs, and the same as Parquet: flat, typed columns, times in UTC."""

import hashlib
import io
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import UNSET

from flask_app import prediction_log
from flask_app.prediction_log import LoggedLabel, LoggedPrediction, SegmentReader, is_open
from flask_app.record import FEATURES

ROWS_A_GROUP = 50_000


@dataclass(frozen=True)
class Kind:
    """One of the logs.

    Attributes:
        name: What the archive calls it.
        directory: Where it is, below SHILL_LOG_DIR.
        line: What its lines are.
        columns: Where in a line each column is, and its type in Parquet.
    """

    name: str
    directory: str
    line: type[Any]
    columns: dict[str, tuple[str, pa.DataType]]

    @property
    def schema(self) -> pa.Schema:
        """The schema of its Parquet files."""
        return pa.schema([(name, kind) for name, (_, kind) in self.columns.items()])

    def segments(self, log_dir: Path) -> list[Path]:
        """List its segments in `log_dir`, open ones included, in the order they were opened."""
        segments = SegmentReader(log_dir / self.directory, self.line).segments()
        return sorted(segments, key=lambda segment: segment.name)

    def closed_segments(self, log_dir: Path) -> list[Path]:
        """List those that nobody writes any more and that hold something."""
        return [path for path in self.segments(log_dir) if not is_open(path) and _size(path)]

    def archived_name(self, segment: Path) -> str:
        """Return where the archive has `segment`."""
        return f"{self.name}/{segment.parent.name}/{segment.stem}.parquet"


_UTC = pa.timestamp("us")
PREDICTIONS = Kind(
    "predictions",
    "",
    LoggedPrediction,
    {
        "prediction_id": ("prediction_id", pa.string()),
        "at": ("at", _UTC),
        "model_version": ("model_version", pa.string()),
        "auction_id": ("record.auction_id", pa.string()),
        "bidder_id": ("record.bidder_id", pa.string()),
        **{name: (f"record.{name}", pa.float64()) for name in FEATURES},
        "probability": ("probability", pa.float64()),
        "prediction": ("prediction", pa.int8()),
        "threshold": ("threshold", pa.float64()),
    },
)
LABELS = Kind(
    "labels",
    prediction_log.LABELS,
    LoggedLabel,
    {
        "prediction_id": ("prediction_id", pa.string()),
        "is_shill": ("is_shill", pa.bool_()),
        "labelled_at": ("labelled_at", _UTC),
        "at": ("at", _UTC),
    },
)
KINDS = (PREDICTIONS, LABELS)


@dataclass(frozen=True)
class Converted:
    """A segment in Parquet.

    Attributes:
        source_sha256: Of the segment.
        content: The Parquet file.
        rows: How many lines it has.
        torn: The lines that are incomplete or malformed, as they are.
        torn_lines: How many those are.
    """

    source_sha256: str
    content: bytes
    rows: int
    torn: bytes
    torn_lines: int


def convert(segment: Path, kind: Kind) -> Converted:
    """Read a closed segment; raises OSError."""
    decode = msgspec.json.Decoder(kind.line).decode
    values_of = attrgetter(*(path for path, _ in kind.columns.values()))
    digest, output, rows, written, torn = hashlib.sha256(), io.BytesIO(), [], 0, []
    with (
        segment.open("rb") as lines,
        pq.ParquetWriter(output, kind.schema, compression="zstd", store_schema=False) as writer,
    ):
        for line in lines:
            digest.update(line)
            try:
                rows.append(values_of(decode(line)))
            except msgspec.DecodeError:
                torn.append(line)
            if len(rows) == ROWS_A_GROUP:
                writer.write_batch(_batch(rows, kind.schema))
                written += len(rows)
                rows.clear()
        writer.write_batch(_batch(rows, kind.schema))
    return Converted(
        digest.hexdigest(), output.getvalue(), written + len(rows), b"".join(torn), len(torn)
    )


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    arrays = [
        pa.array([None if value is UNSET else value for value in column], field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # retention was faster
        return 0
