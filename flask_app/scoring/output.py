"""Where scored days go: a directory, or a bucket, each day once.

    dt=YYYY-MM-DD/scored.parquet    auctions that closed on that day, UTC

A file appears whole, and no run writes over one that it was not told to replace, so a run that was
killed goes on where it ended and no record is there twice. In the archive's `predictions` it stands
beside what the API has scored.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from flask_app import files
from flask_app.errors import AlreadyRunning
from flask_app.s3 import SCHEME, S3Folder

FILE = "scored.parquet"
COUNT = "bids"
"""The metadata, of a file and of an object, that tells from how many bids it is."""

_NAME = re.compile(rf"dt=(\d{{4}}-\d\d-\d\d)/{re.escape(FILE)}")


class Output(ABC):
    """A place for scored days."""

    @abstractmethod
    @contextmanager
    def work(self) -> Iterator[Path]:
        """Give a directory to work in; raises `AlreadyRunning` while another run has the place."""

    @abstractmethod
    def held(self) -> set[date]:
        """Return the days that have a file."""

    @abstractmethod
    def bids(self, day: date) -> int:
        """Return from how many bids a day was scored; 0 if its file does not tell."""

    @abstractmethod
    def write(self, day: date, content: bytes, bids: int, *, again: bool) -> None:
        """Write a day's file, with `COUNT` in its metadata, where there is none, or if told so.

        Raises:
            AlreadyRunning: Another run has written one meanwhile.
        """


def open_output(url: str) -> Output:
    """Return the place at `url`: a directory, or s3://BUCKET/PREFIX."""
    return _Bucket(S3Folder(url)) if url.startswith(SCHEME) else _Directory(Path(url))


def _days(names: Iterable[str]) -> set[date]:
    return {date.fromisoformat(found[1]) for name in names if (found := _NAME.fullmatch(name))}


def _name(day: date) -> str:
    return f"dt={day}/{FILE}"


class _Directory(Output):
    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def work(self) -> Iterator[Path]:
        with files.locked(self._path):
            for directory in (self._path, *self._path.glob("dt=*")):
                files.sweep(directory)
            with files.scratch(self._path) as work:
                yield work

    def held(self) -> set[date]:
        found = self._path.glob(f"dt=*/{FILE}")
        return _days(path.relative_to(self._path).as_posix() for path in found)

    def bids(self, day: date) -> int:
        metadata = pq.read_metadata(self._file(day)).metadata or {}
        return int(metadata.get(COUNT.encode(), 0))

    def write(self, day: date, content: bytes, bids: int, *, again: bool) -> None:
        del bids, again  # the first is in the content; who has the lock knows what is there
        files.write(self._file(day), content)

    def _file(self, day: date) -> Path:
        return self._path / _name(day)


class _Bucket(Output):
    def __init__(self, folder: S3Folder) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        # On another machine it is opened anew.
        return open_output, (str(self._folder),)

    @contextmanager
    def work(self) -> Iterator[Path]:
        with TemporaryDirectory(prefix="score-") as work:
            yield Path(work)

    def held(self) -> set[date]:
        return _days(self._folder.names("dt="))

    def bids(self, day: date) -> int:
        found = self._folder.head(_name(day))
        return int(found.metadata.get(COUNT, 0)) if found else 0

    def write(self, day: date, content: bytes, bids: int, *, again: bool) -> None:
        seen = self._folder.head(_name(day)) if again else None
        written = self._folder.put(
            _name(day),
            content,
            replacing=seen.etag if seen else None,
            metadata={COUNT: str(bids)},
        )
        if not written:
            raise AlreadyRunning(
                f"{self._folder}/{_name(day)} was written meanwhile: another run scores this day"
            )
