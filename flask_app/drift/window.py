"""The window: the latest predictions of one model, read from the prediction log into columns."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from pathlib import Path
from struct import Struct
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flask_app.log.ids import made_at
from flask_app.log.lines import ID
from flask_app.log.reader import Span, SpanReader
from flask_app.record import FEATURES


def _columns(precision: str) -> np.dtype[np.void]:
    features = ("features", precision, len(FEATURES))
    return np.dtype([("made_at", "i8"), ("auction", "u8"), ("probability", "f8"), features])


ROW = _columns("f4")
"""A prediction: when it was made (Unix time, ms), a number that stands for its auction, and its
values in the model's precision, all of them NaN where one is missing or no number."""

Rows = NDArray[np.void]

_PACKED = _columns("f8")
_pack = Struct(f"<qQ{1 + len(FEATURES)}d").pack
_MISSING = (np.nan,) * (1 + len(FEATURES))
_CHUNK_LINES = 4096

_Record = msgspec.defstruct("_Record", [("auction_id", str), *((f, float) for f in FEATURES)])
_Line = msgspec.defstruct(
    "_Line", [("model_version", str), ("probability", float), ("record", _Record)]
)
_all_of = attrgetter(
    "model_version", "record.auction_id", "probability", *(f"record.{name}" for name in FEATURES)
)
_decode = msgspec.json.Decoder(_Line).decode
"""Checks no ranges: what is out of range is a finding."""


class _Owner(msgspec.Struct):
    """What a line must say in any case."""

    model_version: str


_decode_owner = msgspec.json.Decoder(_Owner).decode


@dataclass(frozen=True)
class Window:
    """The latest predictions of a model.

    Attributes:
        rows: In the order in which they were made.
        torn_lines: Lines of the segments read that are not whole, of whichever model.
        future_lines: Lines of the segments read that were made after the span, likewise.
    """

    rows: Rows
    torn_lines: int
    future_lines: int

    def made_at(self, row: int) -> datetime | None:
        """When a row was made; None if there are no rows."""
        if not len(self.rows):
            return None
        return datetime.fromtimestamp(int(self.rows["made_at"][row]) / 1000, UTC)


def read_window(log_dir: Path, model_version: str, span: Span, limit: int) -> Window:
    """Read the latest predictions of `model_version` in `span`, at most `limit`.

    Holds at most some twice `limit` rows at a time. Segments of several processes overlap: one is
    passed over only when its newest line is older than all of `limit` rows.

    Raises:
        JobError: The log cannot be read.
    """
    reader = SpanReader(log_dir, span)
    rows = np.empty(0, ROW)
    fresh: list[Rows] = []
    for segment in reader.newest_first():
        lines = reader.lines(segment)
        while chunk := list(islice(lines, _CHUNK_LINES)):
            fresh.append(_parse(chunk, model_version, reader))
            if sum(map(len, fresh)) >= limit:
                rows, fresh = _latest([rows, *fresh], limit), []
                reader.begin_at(int(rows["made_at"][0]))
    return Window(_latest([rows, *fresh], limit), reader.torn_lines, reader.future_lines)


def draw_auctions(rows: Rows, limit: int) -> Rows:
    """Return at most `limit` of `rows`, of whole auctions drawn at random.

    An auction's number is its lot, so that the draw is the same in every run. The rows of an
    auction larger than `limit` are cut.
    """
    if len(rows) <= limit:
        return rows
    auctions, sizes = np.unique(rows["auction"], return_counts=True)
    drawn = max(1, int(np.searchsorted(sizes.cumsum(), limit, side="right")))
    chosen: Rows = rows[rows["auction"] <= auctions[drawn - 1]]
    return chosen[-limit:]


def _latest(parts: list[Rows], limit: int) -> Rows:
    rows: Rows = np.concatenate(parts)
    return rows[np.argsort(rows["made_at"], kind="stable")[-limit:]]


def _parse(lines: Iterable[bytes], model_version: str, reader: SpanReader) -> Rows:
    """Take the columns from those of `lines` that are of `model_version`."""
    packed = []
    for line in lines:
        try:
            version, auction, *values = _fields(line)
            if version == model_version:
                packed.append(_pack(made_at(line[ID]), _lot(auction), *values))
        except (msgspec.DecodeError, ValueError):
            reader.count_torn(line)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite: out of range
        return np.frombuffer(b"".join(packed), _PACKED).astype(ROW)


def _fields(line: bytes) -> tuple[Any, ...]:
    """Return model version, auction and values; `DecodeError` if not even whose line it is."""
    try:
        return _all_of(_decode(line))
    except msgspec.ValidationError:
        return _decode_owner(line).model_version, "", *_MISSING


def _lot(auction_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(auction_id.encode(), digest_size=8).digest(), "big")
