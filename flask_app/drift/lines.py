"""The lines of a log that lie in a span of time, found without decoding the others.

Predictions and labels begin with the prediction's id, and a UUIDv7 begins with the time at which it
was made: their bytes compare as the times do.
"""

import contextlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from flask_app.errors import JobError
from flask_app.prediction_log import SegmentReader, is_open

ID = slice(18, 54)
"""Where a line has its prediction's id."""

_TIME = slice(18, 31)
_BEGIN = b'{"prediction_id":"'
_ENDS = (b"}\n", b"}")
_TAIL_BYTES = 1 << 16
_NEWEST = b"~"


class Span(NamedTuple):
    """From `start` to `end`, both included; Unix time, ms."""

    start: int
    end: int


class SpanReader:
    """Reads what a log holds of a span of time.

    Attributes:
        torn_lines: Lines met so far, of any time, that are no whole lines. What the writer of an
            open segment is just finishing is not counted.
        future_lines: Lines met so far that were made after the span.
        start: Where the span begins by now, ms.
    """

    def __init__(self, directory: Path, span: Span) -> None:
        self.directory = directory
        self.torn_lines = 0
        self.future_lines = 0
        self._first_day = datetime.fromtimestamp(span.start / 1000, UTC).date()
        self._end = _key(span.end)
        self.begin_at(span.start)

    def begin_at(self, start: int) -> None:
        """From now on pass over what was made before `start`, ms."""
        self.start, self._start = start, _key(start)

    def segments(self) -> list[Path]:
        """List the segments of the span's days; `JobError` if they cannot be seen."""
        try:
            # `glob` takes a directory that it may not read for an empty one.
            for day in self.directory.iterdir() if self.directory.exists() else ():
                if day.name.startswith("dt="):
                    with contextlib.suppress(FileNotFoundError):  # deleted as too old
                        next(day.iterdir(), None)
        except OSError as error:
            raise _unreadable(error) from error
        return SegmentReader(self.directory, msgspec.Raw, since=self._first_day).segments()

    def newest_first(self) -> Iterator[Path]:
        """Yield the segments by their newest line, as long as they reach into the span."""
        ends = sorted(((_last_key(path), path) for path in self.segments()), reverse=True)
        for end, segment in ends:
            if end < self._start:
                return
            yield segment

    def lines(self, segment: Path) -> Iterator[bytes]:
        """Yield the lines of `segment` that lie in the span."""
        with _opened(segment) as file:
            for line in file:
                if not line.startswith(_BEGIN) or not line.endswith(_ENDS):
                    if line.endswith(b"\n") or not is_open(segment):
                        self.torn_lines += 1
                elif line[_TIME] > self._end:
                    self.future_lines += 1
                elif line[_TIME] >= self._start:
                    yield line


def made_at(prediction_id: bytes) -> int:
    """Return when a prediction was made, Unix time in ms; ValueError if the id does not tell."""
    return int(prediction_id[:8] + prediction_id[9:13], 16)


def _key(time_ms: int) -> bytes:
    digits = b"%012x" % max(time_ms, 0)
    return digits[:8] + b"-" + digits[8:]


def _last_key(segment: Path) -> bytes:
    """Return what the last whole line of `segment` compares by; if there is none, as the newest."""
    with _opened(segment) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        for line in reversed(file.readlines()):
            if line.startswith(_BEGIN) and line.endswith(_ENDS):
                return line[_TIME]
    return _NEWEST


@contextlib.contextmanager
def _opened(segment: Path) -> Iterator[BinaryIO]:
    try:
        with segment.open("rb") as file:
            yield file
    except FileNotFoundError:
        yield io.BytesIO()  # deleted as too old
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> JobError:
    return JobError(f"the prediction log cannot be read ({error}): give the job access to it")
