"""Appends lines to the segments of this process.

`append` hands a request's lines to the kernel in a single write, all of them or none: what it has
accepted survives the death of the process, though not, until the next fsync, that of the machine.
No request waits for a disk: a timer forces what is written to disk, opens the next segment before
it is needed, and closes and deletes the old ones.
"""

import errno
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from flask_app.log.retention import SECONDS_A_DAY, Retention
from flask_app.log.segment import Segment
from flask_app.settings import Settings

logger = logging.getLogger(__name__)

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a full disk answers: the log then drops lines but is still in working order."""
NEARLY_FULL = 7 / 8
"""The share of a segment's size at which the timer opens the next one."""
SWEEP_SECONDS = 3600.0
"""Retention is looked after at least this often, also where nothing is written."""


class SegmentWriter:
    """Appends lines to the segments of this process; safe to use from several threads.

    A segment is closed when it reaches `segment_bytes` or `segment_seconds`, or when the day (UTC)
    ends.

    Args:
        directory: Where the days' directories are; created when first needed.
        segment_bytes: Size at which a segment is closed.
        segment_seconds: Age at which a segment is closed, s.
        fsync_seconds: How often written lines are forced to disk, s.
        retention: If given, it is swept at the start, after segments were closed, and every hour.
        on_drop: Called with the number of lines that could not be written.
        on_sync_failure: Called when written lines could not be forced to disk.
    """

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int,
        segment_seconds: float,
        fsync_seconds: float,
        retention: Retention | None = None,
        on_drop: Callable[[int], None] = lambda _lines: None,
        on_sync_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._fsync_seconds = fsync_seconds
        self._retention = retention
        self._on_drop = on_drop
        self._on_sync_failure = on_sync_failure
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._timer = threading.Thread(target=self._tick, name="log-timer", daemon=True)
        self._segment: Segment | None = None
        self._retired: list[Segment] = []
        self._failure: OSError | None = None
        self._sync_failure: OSError | None = None

    @classmethod
    def from_settings(
        cls,
        directory: Path,
        settings: Settings,
        *,
        retention: Retention | None = None,
        on_drop: Callable[[int], None] = lambda _lines: None,
        on_sync_failure: Callable[[], None] = lambda: None,
    ) -> Self:
        """Make a writer for `directory` with the limits of the SHILL_LOG_* settings."""
        return cls(
            directory,
            segment_bytes=settings.log_segment_bytes,
            segment_seconds=settings.log_segment_seconds,
            fsync_seconds=settings.log_fsync_seconds,
            retention=retention,
            on_drop=on_drop,
            on_sync_failure=on_sync_failure,
        )

    @property
    def failure(self) -> OSError | None:
        """Why the last lines were dropped; None while the log is being written."""
        return self._failure

    @property
    def sync_failure(self) -> OSError | None:
        """Why written lines may not be on disk; None once a later round has forced all there."""
        return self._sync_failure

    def start(self) -> None:
        """Start the timer."""
        self._timer.start()

    def check(self) -> bool:
        """Whether this process can write its log; a full disk is no reason why it could not."""
        with self._lock:
            try:
                self._current(incoming=0)
            except OSError as error:
                self._note(error)
                return error.errno in FULL
        return True

    def append(self, lines: bytes, count: int = 1, *, durable: bool = False) -> bool:
        """Write `lines`, all or none.

        Args:
            lines: JSON lines, each with its newline.
            count: How many they are.
            durable: Return only once they are on disk.

        Returns:
            Whether they were written; if not they are dropped and counted, and `failure` says why.
        """
        with self._lock:
            try:
                self._current(len(lines)).write(lines, durable=durable)
            except OSError as error:
                self._note(error)
                self._on_drop(count)
                return False
            if self._failure is not None:
                self._note(None)
        return True

    def close(self) -> None:
        """Force everything to disk and close the segment."""
        self._stop.set()
        if self._timer.is_alive():
            self._timer.join()
        with self._lock:
            self._retire()
        self._force_to_disk()

    def _note(self, failure: OSError | None) -> None:
        """Remember why lines are dropped, and log when that begins and ends."""
        if failure is None:
            logger.warning("log %s is written again", self.directory)
        elif self._failure is None:
            logger.error("log %s cannot be written, dropping lines: %s", self.directory, failure)
        self._failure = failure

    def _current(self, incoming: int) -> Segment:
        """Return the segment that is to take the next `incoming` bytes."""
        now = time.time()
        if self._segment is not None and self._is_complete(self._segment, now, incoming):
            self._retire()
        if self._segment is None:
            self._segment = Segment(self.directory, now)
        return self._segment

    def _is_complete(self, segment: Segment, now: float, incoming: int) -> bool:
        return (
            segment.torn
            or segment.size + incoming > self._segment_bytes
            or now - segment.opened_at >= self._segment_seconds
            or now // SECONDS_A_DAY != segment.opened_at // SECONDS_A_DAY
        )

    def _retire(self) -> None:
        """Leave closing the segment to the timer."""
        if self._segment is not None:
            self._retired.append(self._segment)
            self._segment = None

    def _tick(self) -> None:
        self._sweep()
        swept_at = time.monotonic()
        while not self._stop.wait(self._fsync_seconds):
            try:
                self._open_ahead()
            except OSError:
                logger.exception("log %s: no segment can be opened ahead", self.directory)
            closed = self._force_to_disk()
            if closed or time.monotonic() - swept_at >= SWEEP_SECONDS:
                self._sweep()
                swept_at = time.monotonic()

    def _open_ahead(self) -> None:
        """Replace a segment that is complete, or soon will be, before a request meets it."""
        segment = self._segment
        nearly = int(self._segment_bytes * (1 - NEARLY_FULL))
        if segment is None or not self._is_complete(segment, now := time.time(), nearly):
            return
        successor = Segment(self.directory, now) if segment.size else None
        with self._lock:
            if self._segment is segment:
                self._retire()
                self._segment = successor
            elif successor is not None:  # a request was faster
                self._retired.append(successor)

    def _force_to_disk(self) -> bool:
        """Sync the segment and close those before it; returns whether any was closed."""
        failure, closed = None, False
        while self._retired:
            closed = True
            try:
                self._retired.pop().close()
            except OSError as error:
                failure = error
        segment = self._segment
        if segment is not None:
            try:
                segment.sync()
            except OSError as error:
                failure = error
        self._note_sync(failure)
        return closed

    def _note_sync(self, failure: OSError | None) -> None:
        """Count a round that failed, and log when that begins and ends."""
        if failure is not None:
            self._on_sync_failure()
            if self._sync_failure is None:
                logger.error("log %s cannot be forced to disk: %s", self.directory, failure)
        elif self._sync_failure is not None:
            logger.warning("log %s is forced to disk again", self.directory)
        self._sync_failure = failure

    def _sweep(self) -> None:
        if self._retention is not None:
            try:
                self._retention.sweep()
            except OSError:
                logger.exception("retention of log %s failed", self.directory)
