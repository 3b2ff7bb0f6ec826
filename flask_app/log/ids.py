"""Prediction ids: UUIDv7, unique and ordered by the time at which they were made."""

import os
import time
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from msgspec import Meta

PredictionId = Annotated[
    str,
    Meta(
        min_length=36,
        max_length=36,
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        description="A UUIDv7: unique, and ordered by time.",
    ),
]

_IDS_A_PREFIX = 1 << 20
"""What the counter of 20 bits, five hexadecimal digits, can tell apart."""
_FIRST_SUFFIXES = tuple(f"{number:05x}" for number in range(1024))


def prediction_ids(count: int) -> list[str]:
    """Make `count` UUIDv7: Unix time in ms and 1/4096 ms, 40 random bits, a counter of 20 bits.

    Source: RFC 9562, 6.2, method 3. Unless the clock is set back, what a process makes later
    sorts later.
    """
    ids: list[str] = []
    while len(ids) < count:
        prefix = _prefix()
        ids += [prefix + suffix for suffix in islice(_suffixes(), count - len(ids))]
    return ids


def _suffixes() -> Iterator[str]:
    """Yield the counter's values; those of an ordinary request are there already."""
    yield from _FIRST_SUFFIXES
    for number in range(len(_FIRST_SUFFIXES), _IDS_A_PREFIX):
        yield f"{number:05x}"


def _prefix() -> str:
    time_ms, rest_ns = divmod(time.time_ns(), 1_000_000)
    ticks = (rest_ns << 12) // 1_000_000
    noise = os.urandom(5).hex()
    return f"{time_ms >> 16:08x}-{time_ms & 0xFFFF:04x}-7{ticks:03x}-8{noise[:3]}-{noise[3:]}"


def made_at(prediction_id: bytes) -> int:
    """Return when a prediction was made, Unix time in ms; ValueError if the id does not tell."""
    return int(prediction_id[:8] + prediction_id[9:13], 16)


def time_key(time_ms: int) -> bytes:
    """Return what an id made at `time_ms` begins with: ids and keys compare as their times do."""
    digits = b"%012x" % max(time_ms, 0)
    return digits[:8] + b"-" + digits[8:]
