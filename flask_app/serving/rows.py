"""Decoded records in the two forms that are needed: for the model, and for the log."""

from collections.abc import Sequence
from operator import attrgetter
from struct import Struct
from typing import NamedTuple, Self

import msgspec
import numpy as np
from msgspec import Raw
from numpy.typing import NDArray

from flask_app.record import DEFAULT_AUCTION_DURATION_DAYS, FEATURES, Record

SLICE_ROWS = 128
"""Most rows that are decoded, scored or logged in one turn of the event loop, each below 1 ms."""
MAX_LOGGED_BYTES = 2**10
"""Records that take more bytes than this, most of it white space, are encoded anew for the log."""

_features = attrgetter(*FEATURES)
_pack = Struct(f"{len(FEATURES)}d").pack
_encode = msgspec.json.encode


class Rows(NamedTuple):
    """Several records.

    Attributes:
        features: The model's input, (n, 9).
        logged: The records' JSON for the log, (n,).
    """

    features: NDArray[np.float32]
    logged: list[Raw]

    @classmethod
    def of(cls, records: Sequence[Record], sent: Sequence[Raw | None]) -> Self:
        """Convert `records`, (n,).

        Args:
            records: What was decoded.
            sent: The JSON of each, (n,), None where that does not fit into a line of the log.
        """
        values = b"".join([_pack(*_features(record)) for record in records])
        features = np.frombuffer(values, np.float64).reshape(-1, len(FEATURES))
        logged = [
            document
            # msgspec puts the default object itself where the duration was not sent.
            if document and record.auction_duration is not DEFAULT_AUCTION_DURATION_DAYS
            else Raw(_encode(record))
            for record, document in zip(records, sent, strict=True)
        ]
        return cls(features.astype(np.float32), logged)


def fits_into_lines(body: bytes, records: int) -> bool:
    """Whether the records in `body` can be logged as they were sent: each on a line of its own."""
    return len(body) <= MAX_LOGGED_BYTES * records and b"\n" not in body and b"\r" not in body
