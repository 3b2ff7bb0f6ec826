"""Which files are a table's: one of them, or those in a directory, here or in S3."""

from collections.abc import Iterator
from pathlib import Path

from flask_app.bids.tables import Table
from flask_app.errors import DataError
from flask_app.s3 import S3Folder

FORMATS = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


def list_here(path: Path) -> Iterator[Path]:
    """List the files at `path`, in order of their names."""
    if path.is_dir():
        names = sorted(found.relative_to(path).as_posix() for found in path.rglob("*"))
        yield from (path / name for name in names if _holds_rows(name))
    elif path.exists() and _holds_rows(path.name):
        yield path


def list_in(folder: S3Folder) -> Iterator[str]:
    """List the files in a folder of S3 by the rest of their key, in order."""
    yield from (name for name in sorted(folder.names()) if _holds_rows(name))


def nothing_there(table: Table, url: str) -> DataError:
    """Return the error for a place without files of a table."""
    return DataError(
        f"{url}: no {table.name} there: give a file or a directory of files that end in "
        f"{', '.join(FORMATS)}"
    )


def _holds_rows(name: str) -> bool:
    """Whether a file of this name is one of a table; those of other programs' books are not."""
    return name.endswith(FORMATS) and not any(
        part.startswith((".", "_")) for part in name.split("/")
    )
