"""Reads the logs: defines for drift and the archive which lines are whole and which are torn.

`SpanReader` finds the lines of a span of time without decoding the others.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import msgspec

from flask_app.errors import JobError
from flask_app.log.ids import made_at, time_key
from flask_app.log.lines import ID, TIME, is_whole
from flask_app.log.segment import is_open, list_segments

_TAIL_BYTES = 1 << 16
_CLOCK_STEP_MS = 1000
"""How much a file's time of writing may lag behind the clock that the ids are made with."""

Line = TypeVar("Line")


def decoded(
    lines: Iterable[bytes], decode: Callable[[bytes], Line], on_torn: Callable[[bytes], object]
) -> Iterator[Line]:
    """Decode `lines`; one that is not whole, or no such line, is given to `on_torn`."""
    for line in lines:
        try:
            whole = decode(line) if is_whole(line) else None
        except msgspec.DecodeError:
            whole = None
        if whole is None:
            on_torn(line)
        else:
            yield whole


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
        self._end = time_key(span.end)
        self.begin_at(span.start)

    def begin_at(self, start: int) -> None:
        """From now on pass over what was made before `start`, ms."""
        self.start, self._start = start, time_key(start)

    def count_torn(self, _line: bytes) -> None:
        """Count a line that proved to be torn."""
        self.torn_lines += 1

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
        return list_segments(self.directory, since=self._first_day)

    def newest_first(self) -> Iterator[Path]:
        """Yield the segments by their newest line, as long as they reach into the span."""
        ends = sorted(((_newest(path), path) for path in self.segments()), reverse=True)
        for end, segment in ends:
            if end < self.start:
                return
            yield segment

    def lines(self, segment: Path) -> Iterator[bytes]:
        """Yield the lines of `segment` that lie in the span."""
        with _opened(segment) as file:
            for line in file:
                if not is_whole(line):
                    if line.endswith(b"\n") or not is_open(segment):
                        self.count_torn(line)
                elif line[TIME] > self._end:
                    self.future_lines += 1
                elif line[TIME] >= self._start:
                    yield line


def _newest(segment: Path) -> int:
    """Return a time, Unix time in ms, that no line of `segment` is newer than.

    A large batch has its ids before it is appended, so the last line need not be the newest. But
    no id is newer than the last time of writing, except in the last line after the clock was set
    back.
    """
    try:
        written_ms = segment.stat().st_mtime_ns // 1_000_000 + _CLOCK_STEP_MS
    except FileNotFoundError:
        return 0  # deleted as too old
    with _opened(segment) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        for line in reversed(file.readlines()):
            if is_whole(line):
                with contextlib.suppress(ValueError):  # its id is none
                    return max(written_ms, made_at(line[ID]))
    return written_ms


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
