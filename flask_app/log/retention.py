"""Deletes closed segments that are too old or too many, whichever process wrote them."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from flask_app.log.segment import LABELS, SUFFIX, delete, is_open
from flask_app.settings import Settings

logger = logging.getLogger(__name__)

SECONDS_A_DAY = 86_400
LARGEST_GAP_SECONDS = 7 * SECONDS_A_DAY
"""A clock further ahead of the youngest segment than this, at the start, is not believed."""
CLOCK_TOLERANCE_SECONDS = 3600.0
"""How far the clock may run ahead of the time that has passed since the start."""


class _Closed(NamedTuple):
    path: Path
    size: int
    written_at: float


class Retention:
    """Keeps the predictions and the labels of a log within its limits, each by itself.

    A clock that is set ahead must not delete everything. So it is believed only as far as the time
    that has passed since the start bears it out; and if it was more than a week ahead of the
    youngest segment at the start, the time since then counts from that segment. The next start
    looks anew. A file that cannot be examined stays, is logged once and holds up no other.

    Args:
        log_dir: The prediction log; it may be absent.
        max_bytes: Total size to keep; beyond it the oldest are deleted first.
        max_age_seconds: Longest age to keep, s.
    """

    def __init__(self, log_dir: Path, *, max_bytes: int, max_age_seconds: float) -> None:
        self._log_dir = log_dir
        self._max_bytes = max_bytes
        self._max_age_seconds = max_age_seconds
        self._start: tuple[float, float] | None = None
        self._clock_told = False
        self._files_told: set[Path] = set()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Take the limits from the SHILL_LOG_RETENTION_* settings."""
        return cls(
            settings.log_dir,
            max_bytes=settings.log_retention_bytes,
            max_age_seconds=settings.log_retention_days * SECONDS_A_DAY,
        )

    def sweep(self) -> None:
        """Delete what is beyond the limits."""
        logs = [list(self._segments(self._log_dir / name)) for name in ("", LABELS)]
        youngest = max((segment.written_at for log in logs for segment in log), default=None)
        earliest = self._now(youngest) - self._max_age_seconds
        for log in logs:
            self._sweep(sorted(log, key=lambda segment: segment.path.name), earliest)

    def _segments(self, directory: Path) -> Iterator[_Closed]:
        for path in directory.glob(f"dt=*/*{SUFFIX}"):
            try:
                stat = path.stat()
            except FileNotFoundError:  # another process was faster
                continue
            yield _Closed(path, stat.st_size, stat.st_mtime)

    def _sweep(self, segments: list[_Closed], earliest: float) -> None:
        total = sum(segment.size for segment in segments)
        for path, size, written_at in segments:
            excess = total > self._max_bytes and size > 0
            if not excess and written_at >= earliest:
                continue
            try:
                if not is_open(path):
                    delete(path)
                    total -= size
            except OSError as error:
                if path not in self._files_told:
                    self._files_told.add(path)
                    logger.error("%s is beyond the retention and stays: %s", path, error)  # noqa: TRY400

    def _now(self, youngest: float | None) -> float:
        """Return the time up to which the clock is believed, Unix time in s."""
        clock, passed = time.time(), time.monotonic()
        if self._start is None:
            ahead = youngest is not None and clock - youngest > LARGEST_GAP_SECONDS
            self._start = youngest if ahead and youngest else clock, passed
        started_at, started = self._start
        believed = started_at + passed - started + CLOCK_TOLERANCE_SECONDS
        if clock > believed and not self._clock_told:
            self._clock_told = True
            logger.warning(
                "log %s: the clock is %.1f days ahead of the segments and of the time passed since "
                "the start: fewer segments are deleted as too old until the service is restarted",
                self._log_dir,
                (clock - believed) / SECONDS_A_DAY,
            )
        return min(clock, believed)
