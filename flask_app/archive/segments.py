"""Segments of the two logs, and the same as Parquet: flat, typed columns, times in UTC."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import UNSET

from flask_app.log import segment as log
from flask_app.log.lines import LoggedLabel, PastPrediction
from flask_app.log.reader import decoded
from flask_app.record import FEATURES

ROWS_A_GROUP = 50_000
RECORD_SCHEMA = "record_schema"
"""The metadata of a Parquet file that names the `SCHEMA_ID` of its lines."""


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
    def always(self) -> list[str]:
        """What every line has, by the name it has there."""
        return [field.name for field in msgspec.structs.fields(self.line) if field.required]

    @property
    def schema(self) -> pa.Schema:
        """The schema of its Parquet files."""
        return pa.schema([(name, kind) for name, (_, kind) in self.columns.items()])

    def segments(self, log_dir: Path) -> list[Path]:
        """List its segments in `log_dir`, open ones included, in the order they were opened."""
        segments = log.list_segments(log_dir / self.directory)
        return sorted(segments, key=lambda segment: segment.name)

    def archived_name(self, segment: Path) -> str:
        """Return where the archive has `segment`."""
        return f"{self.name}/{segment.parent.name}/{segment.stem}.parquet"


_UTC = pa.timestamp("us")
PREDICTIONS = Kind(
    "predictions",
    "",
    PastPrediction,
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
    log.LABELS,
    LoggedLabel,
    {
        "prediction_id": ("prediction_id", pa.string()),
        "is_shill": ("is_shill", pa.bool_()),
        "labelled_at": ("labelled_at", _UTC),
        "at": ("at", _UTC),
        "skipped": ("skipped", pa.bool_()),
        "reviewer": ("reviewer", pa.string()),
        "comment": ("comment", pa.string()),
        "weight": ("weight", pa.float64()),
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
    """Read a closed segment, of whichever schema; raises OSError."""
    decode = msgspec.json.Decoder(kind.line).decode
    values_of = attrgetter(*(path for path, _ in kind.columns.values()))
    digest, output, rows, torn = hashlib.sha256(), io.BytesIO(), 0, list[bytes]()
    with (
        segment.open("rb") as file,
        pq.ParquetWriter(output, kind.schema, compression="zstd", store_schema=False) as writer,
    ):
        lines = map(values_of, decoded(_digested(file, digest), decode, torn.append))
        while group := list(islice(lines, ROWS_A_GROUP)):
            writer.write_batch(_batch(group, kind.schema))
            rows += len(group)
        if not rows:
            writer.write_batch(_batch([], kind.schema))
        writer.add_key_value_metadata({RECORD_SCHEMA: log.schema_of(segment)})
    return Converted(digest.hexdigest(), output.getvalue(), rows, b"".join(torn), len(torn))


def _digested(lines: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        yield line


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    arrays = [
        pa.array([None if value is UNSET else value for value in column], field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)
