"""The prediction log: append-only segments of JSON lines, one writer a process.

    <directory>/dt=2026-11-23/<UUIDv7>.jsonl

A segment belongs to the process that opened it. Its writer holds an advisory lock (`flock`) on it
until it is complete and on disk, so anyone can tell an open segment from a closed one, and a
killed writer's segment counts as closed at once. `append` hands a request's lines to the kernel in
a single write, all of them or none: what it has accepted survives the death of the process, though
not, until the next fsync, that of the machine.

Labels use the same segments in `<directory>/<LABELS>`, forced to disk one request at a time.
"""

import contextlib
import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Generic, Literal, Self, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flask_app.files import sync_directory
from flask_app.record import Record, UnitInterval
from flask_app.settings import Settings

logger = logging.getLogger(__name__)

SUFFIX = ".jsonl"
LABELS = "labels"
SECONDS_A_DAY = 86_400
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a full disk answers: the log then drops lines but is still in working order."""

PredictionId = Annotated[
    str,
    Meta(
        min_length=36,
        max_length=36,
        pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        description="A UUIDv7: unique, and ordered by time.",
    ),
]


class LoggedPrediction(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One line of the prediction log."""

    prediction_id: PredictionId
    at: datetime
    model_version: str
    record: Record
    probability: UnitInterval
    prediction: Literal[0, 1]
    threshold: UnitInterval


class Label(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What became known about a prediction after it was made."""

    prediction_id: PredictionId
    is_shill: Annotated[bool, Meta(description="Whether the bidder was a shill in that auction.")]
    labelled_at: (
        Annotated[
            datetime,
            Meta(tz=True, description="When it became known; by default when the label arrives."),
        ]
        | UnsetType
    ) = UNSET


class LoggedLabel(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the label log; of several for one prediction the last holds."""

    prediction_id: PredictionId
    is_shill: bool
    labelled_at: datetime
    at: datetime


def prediction_ids(count: int) -> list[str]:
    """Make `count` UUIDv7: Unix time in ms and 1/4096 ms, 40 random bits, a counter of 20 bits.

    Source: RFC 9562, 6.2, method 3. Unless the clock is set back, what a process makes later
    sorts later.
    """
    time_ms, rest_ns = divmod(time.time_ns(), 1_000_000)
    ticks = (rest_ns << 12) // 1_000_000
    noise = os.urandom(5).hex()
    prefix = f"{time_ms >> 16:08x}-{time_ms & 0xFFFF:04x}-7{ticks:03x}-8{noise[:3]}-{noise[3:]}"
    return [f"{prefix}{number:05x}" for number in range(count)]


class _Segment:
    """An open segment: locked from the instant it has its name until it is closed."""

    def __init__(self, directory: Path, now: float) -> None:
        day = directory / f"dt={datetime.fromtimestamp(now, UTC).date().isoformat()}"
        if not day.is_dir():
            day.mkdir(parents=True, exist_ok=True)
            sync_directory(directory)
        name = prediction_ids(1)[0] + SUFFIX
        hidden = day / f".{name}"
        self.path = day / name
        self.opened_at = now
        self.size = 0
        self.dirty = False
        self.torn = False
        self.fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(self.path)
            sync_directory(day)
        except OSError:
            os.close(self.fd)
            raise

    def write(self, lines: bytes, *, durable: bool) -> None:
        """Append all of `lines` in a single write, or none of them and raise OSError."""
        try:
            if os.write(self.fd, lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301
            if durable:
                os.fsync(self.fd)
        except OSError:
            self._take_back()
            raise
        self.size += len(lines)
        self.dirty = True

    def _take_back(self) -> None:
        try:
            os.ftruncate(self.fd, self.size)
        except OSError:
            self.torn = True  # its last line stays incomplete: the reader will skip it

    def sync(self) -> None:
        """Force what is written so far to disk."""
        if self.dirty:
            self.dirty = False  # first: a line written from here on is the next round's
            os.fsync(self.fd)

    def close(self) -> None:
        """Give up the lock once everything is on disk; an empty segment leaves nothing behind."""
        try:
            if self.size == 0:
                self.path.unlink(missing_ok=True)
            self.sync()
        finally:
            os.close(self.fd)


class SegmentWriter:
    """Appends lines to the segments of this process; safe to use from several threads.

    A segment is closed when it reaches `segment_bytes` or `segment_seconds`, or when the day (UTC)
    ends. Closed segments, of any process, are deleted when they are older than `retention_days`
    and, oldest first, while all segments together exceed `retention_bytes`.

    Args:
        directory: Where the days' directories are; created when first needed.
        segment_bytes: Size at which a segment is closed.
        segment_seconds: Age at which a segment is closed, s.
        retention_bytes: Total size to keep.
        retention_days: Longest age to keep, days.
        fsync_seconds: How often written lines are forced to disk, s.
        on_drop: Called with the number of lines that could not be written.
    """

    def __init__(
        self,
        directory: Path,
        *,
        segment_bytes: int,
        segment_seconds: float,
        retention_bytes: int,
        retention_days: float,
        fsync_seconds: float,
        on_drop: Callable[[int], None] = lambda _lines: None,
    ) -> None:
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._retention_bytes = retention_bytes
        self._retention_seconds = retention_days * SECONDS_A_DAY
        self._fsync_seconds = fsync_seconds
        self._on_drop = on_drop
        self._begin()

    @classmethod
    def from_settings(
        cls,
        directory: Path,
        settings: Settings,
        on_drop: Callable[[int], None] = lambda _lines: None,
    ) -> Self:
        """Make a writer for `directory` with the limits of the SHILL_LOG_* settings."""
        return cls(
            directory,
            segment_bytes=settings.log_segment_bytes,
            segment_seconds=settings.log_segment_seconds,
            retention_bytes=settings.log_retention_bytes,
            retention_days=settings.log_retention_days,
            fsync_seconds=settings.log_fsync_seconds,
            on_drop=on_drop,
        )

    def _begin(self) -> None:
        """Set the state of a process that has written nothing yet."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._timer: threading.Thread | None = None
        self._segment: _Segment | None = None
        self._retired: list[_Segment] = []
        self._failure: OSError | None = None

    @property
    def failure(self) -> OSError | None:
        """Why the last lines were dropped; None while the log is being written."""
        return self._failure

    def check(self) -> bool:
        """Whether this process can write its log; a full disk is no reason why it could not."""
        self._leave_to_parent()
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
        self._leave_to_parent()
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
        if self._timer is not None:
            self._timer.join()
        with self._lock:
            self._retire()
        self._maintain(sweep=False)

    def _leave_to_parent(self) -> None:
        """After a fork start afresh: segment, lock and timer are the parent's."""
        if self._pid != os.getpid():
            for segment in (self._segment, *self._retired):
                if segment is not None:
                    os.close(segment.fd)
            self._begin()

    def _note(self, failure: OSError | None) -> None:
        """Remember why lines are dropped, and log when that begins and ends."""
        if failure is None:
            logger.warning("log %s is written again", self.directory)
        elif self._failure is None:
            logger.error("log %s cannot be written, dropping lines: %s", self.directory, failure)
        self._failure = failure

    def _current(self, incoming: int) -> _Segment:
        """Return the segment that is to take the next `incoming` bytes."""
        now = time.time()
        if self._segment is not None and self._is_complete(self._segment, now, incoming):
            self._retire()
        if self._segment is None:
            self._segment = _Segment(self.directory, now)
        if self._timer is None:
            self._timer = threading.Thread(target=self._tick, name="log-timer", daemon=True)
            self._timer.start()
        return self._segment

    def _is_complete(self, segment: _Segment, now: float, incoming: int) -> bool:
        return (
            segment.torn
            or segment.size + incoming > self._segment_bytes
            or now - segment.opened_at >= self._segment_seconds
            or now // SECONDS_A_DAY != segment.opened_at // SECONDS_A_DAY
        )

    def _retire(self) -> None:
        """Leave closing the segment to the timer: fsync is slow, no request should wait for it."""
        if self._segment is not None:
            self._retired.append(self._segment)
            self._segment = None

    def _tick(self) -> None:
        self._maintain(sweep=True)
        while not self._stop.wait(self._fsync_seconds):
            with self._lock:
                segment = self._segment
                if segment is not None and self._is_complete(segment, time.time(), incoming=0):
                    self._retire()
            self._maintain(sweep=bool(self._retired))

    def _maintain(self, *, sweep: bool) -> None:
        """Fsync, close and delete, away from the requests; only here are segments closed."""
        try:
            while self._retired:
                self._retired.pop().close()
            if (segment := self._segment) is not None:
                segment.sync()
            if sweep:
                self._delete_expired()
        except OSError:
            logger.exception("maintenance of log %s failed", self.directory)

    def _delete_expired(self) -> None:
        """Delete closed segments beyond the retention, whichever process wrote them."""
        segments = []
        for path in self.directory.glob(f"dt=*/*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                segments.append((path, path.stat()))
        segments.sort(key=lambda item: item[0].name)
        total = sum(stat.st_size for _, stat in segments)
        earliest = time.time() - self._retention_seconds
        for path, stat in segments:
            excess = total > self._retention_bytes and stat.st_size > 0
            if (excess or stat.st_mtime < earliest) and not is_open(path):
                path.unlink(missing_ok=True)
                total -= stat.st_size
                with contextlib.suppress(OSError):  # the day has younger segments
                    path.parent.rmdir()


def is_open(segment: Path) -> bool:
    """Whether a living process still writes `segment`."""
    try:
        fd = os.open(segment, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


Line = TypeVar("Line")


class SegmentReader(Generic[Line]):
    """Iterates over the lines of a log, segment by segment in the order they were opened.

    Attributes:
        torn_lines: Lines met so far that are incomplete, as the death of a machine leaves them.

    Args:
        directory: The log's directory; it may be empty or not exist yet.
        kind: `LoggedPrediction` or `LoggedLabel`.
        since: First day (UTC) to read; all by default.
    """

    def __init__(self, directory: Path, kind: type[Line], *, since: date = date.min) -> None:
        self._directory = directory
        self._decoder = msgspec.json.Decoder(kind)
        self._since = since
        self.torn_lines = 0

    def segments(self) -> list[Path]:
        """List the segments to read, open ones included."""
        first_day = f"dt={self._since.isoformat()}"
        return sorted(
            path
            for path in self._directory.glob(f"dt=*/[!.]*{SUFFIX}")
            if path.parent.name >= first_day
        )

    def __iter__(self) -> Iterator[Line]:
        for segment in self.segments():
            with segment.open("rb") as lines:
                for line in lines:
                    try:
                        yield self._decoder.decode(line)
                    except msgspec.DecodeError:
                        self.torn_lines += 1
