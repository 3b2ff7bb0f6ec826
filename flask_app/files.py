"""Files that a reader sees whole or not at all, and the lock under which they are written."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from flask_app.errors import AlreadyRunning, JobError

_DRAFT = ".draft-"
"""How the names of unfinished files begin. They do not end in .prom: node exporter reads hidden
files too."""


def write(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Give `path` new content; raises `JobError`, as for a full disk, and leaves it the old."""
    with _draft_of(path) as draft:
        _write(draft, content, mode)


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Make the directory `path` with `files`; raises `JobError` and leaves nothing."""
    with _draft_of(path) as draft:
        draft.mkdir(mode=0o755)
        for name, content in files.items():
            _write(draft / name, content)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold `directory`, which is made if need be; the kernel lets go of it when the process dies.

    Raises:
        AlreadyRunning: Another process holds it.
        JobError: It cannot be made or written.
    """
    with _as_job_error(directory):
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / ".lock").open("a")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"another run holds {directory / '.lock'}: wait until it is done"
            ) from None
        yield


@contextmanager
def scratch(directory: Path) -> Iterator[Path]:
    """Give a directory below `directory` to work in; `sweep` deletes those of killed runs."""
    with _as_job_error(directory):
        made = TemporaryDirectory(dir=directory, prefix=f"{_DRAFT}scratch-")
    with made as path:
        yield Path(path)


def sweep(directory: Path, name: str = "*") -> None:
    """Delete what killed runs have left unfinished of `name`; only for who alone writes it."""
    for draft in directory.glob(f"{_DRAFT}{name}-*"):
        _delete(draft)


def sync_directory(directory: Path) -> None:
    """Force the names of files in `directory` to disk; raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    """Give a name to write to, which becomes `path` if all goes well."""
    draft = path.with_name(f"{_DRAFT}{path.name}-{os.getpid()}")
    with _as_job_error(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield draft
            draft.rename(path)
        except BaseException:
            _delete(draft)
            raise


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    with path.open("wb") as file:
        os.fchmod(file.fileno(), mode)  # before there is anything to read
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _as_job_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JobError(
            f"{path} cannot be written ({error}): make it writable, with space left"
        ) from error
