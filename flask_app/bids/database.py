"""The database into which an auction site's tables are read, within limits of memory."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from flask_app.errors import DataError, JobError


@contextmanager
def open_database(work: Path, memory_limit: str) -> Iterator[DuckDBPyConnection]:
    """Give a database in `work`, and tell what to do when memory or disk are not enough for it.

    Args:
        work: Existing directory; the database goes on in files there beyond its memory.
        memory_limit: What it may take, as 2GB.

    Raises:
        DataError: The limit is none.
        JobError: There is no room.
    """
    try:
        database = duckdb.connect(
            str(work / "tables.duckdb"),
            config={"memory_limit": memory_limit, "temp_directory": str(work)},
        )
    except duckdb.OutOfMemoryException as error:
        raise _no_room(work, memory_limit, error) from error
    except duckdb.Error as error:
        raise DataError(f"memory limit {memory_limit}: {error}: write it as 2GB") from None
    with database:
        database.execute(f"SET enable_progress_bar = {sys.stderr.isatty()}")
        try:
            yield database
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise _no_room(work, memory_limit, error) from error


def _no_room(work: Path, memory_limit: str, error: duckdb.Error) -> JobError:
    what = str(error).strip().splitlines()[0]
    return JobError(
        f"the database in {work} has no room ({what}): give more than --memory-limit "
        f"{memory_limit}, or free space on that disk"
    )


def leave_open_auctions(database: DuckDBPyConnection, moment: datetime) -> int:
    """Drop the auctions that close at `moment` or later, and their bids; returns how many."""
    is_open = f"closes_at >= {int(moment.timestamp() * 1e6)}"
    database.execute(
        f"DELETE FROM bids WHERE auction_id IN (SELECT auction_id FROM auctions WHERE {is_open})"
    )
    ((deleted,),) = database.execute(f"DELETE FROM auctions WHERE {is_open}").fetchall()
    return int(deleted)
