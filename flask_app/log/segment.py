"""One segment: a file of lines that its writer has locked, named by its time and schema."""

import contextlib
import errno
import fcntl
import os
from datetime import UTC, date, datetime
from pathlib import Path

from flask_app.files import sync_directory
from flask_app.log.ids import prediction_ids
from flask_app.record import SCHEMA_ID

SUFFIX = ".jsonl"
LABELS = "labels"
"""The label log's directory, below that of the predictions."""


class Segment:
    """An open segment: locked from the instant it has its name until it is closed.

    To open one waits for no disk: the names of new files are forced to disk by `sync`, with the
    lines. Raises OSError if it cannot be opened.
    """

    def __init__(self, directory: Path, now: float) -> None:
        day = directory / f"dt={datetime.fromtimestamp(now, UTC).date().isoformat()}"
        day.mkdir(parents=True, exist_ok=True)
        name = f"{prediction_ids(1)[0]}.{SCHEMA_ID}{SUFFIX}"
        hidden = day / f".{name}"
        self.path = day / name
        self.opened_at = now
        self.size = 0
        self.torn = False
        self._synced_size = 0
        self._named = False
        self._fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(self.path)
        except OSError:
            os.close(self._fd)
            raise

    def write(self, lines: bytes, *, durable: bool) -> None:
        """Append all of `lines` in a single write, or none of them and raise OSError."""
        try:
            if os.write(self._fd, lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301
            if durable:
                self._sync_all()
        except OSError:
            self._take_back()
            raise
        self.size += len(lines)
        if durable:
            self._synced_size = self.size

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            self.torn = True  # its last line stays incomplete: the reader will skip it

    def sync(self) -> None:
        """Force what is written so far, and the file's name, to disk."""
        size = self.size  # a line written from here on is the next round's
        if size > self._synced_size:
            self._sync_all()
            self._synced_size = size

    def _sync_all(self) -> None:
        if not self._named:
            for directory in (self.path.parent.parent, self.path.parent):
                sync_directory(directory)
            self._named = True
        os.fsync(self._fd)

    def close(self) -> None:
        """Give up the lock once everything is on disk; an empty segment leaves nothing behind."""
        try:
            if self.size == 0:
                self.path.unlink(missing_ok=True)
            self.sync()
        finally:
            os.close(self._fd)


def is_open(segment: Path) -> bool:
    """Whether a living process still writes `segment`; raises OSError if it may not be read."""
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


def schema_of(segment: Path) -> str:
    """Return the `SCHEMA_ID` of the writer of `segment`; empty if its release named none."""
    return segment.stem.partition(".")[2]


def list_segments(directory: Path, *, since: date = date.min) -> list[Path]:
    """List the segments in a log's `directory`, open ones included, by day and then by opening.

    Args:
        directory: It may be empty or not exist yet.
        since: First day (UTC) to list.
    """
    first_day = f"dt={since.isoformat()}"
    return sorted(
        path for path in directory.glob(f"dt=*/[!.]*{SUFFIX}") if path.parent.name >= first_day
    )


def delete(segment: Path) -> None:
    """Delete `segment`, and its day if that was the last one; it may be gone already."""
    segment.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the day has other segments
        segment.parent.rmdir()
