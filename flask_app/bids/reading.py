"""Reads an auction site's tables into a database, and checks them there.

A table is a file or a directory, here or in S3, of Parquet, CSV or JSON lines; a directory may be
partitioned in any way. Every row keeps its file and number, so that whatever is wrong is told with
its place and the value that stands there. Nothing is computed from tables with a fault.
"""

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb
from duckdb import DuckDBPyConnection

from flask_app.bids.listing import list_here, list_in, nothing_there
from flask_app.bids.rules import (
    BID_RULES,
    MAX_FAULTS,
    RFC_3339,
    TABLE_RULES,
    Rule,
    column_missing,
    column_rules,
    fault,
    faults,
    type_wrong,
)
from flask_app.bids.tables import AUCTIONS, BIDS, SQL_TYPES, Column, Table
from flask_app.errors import DataError
from flask_app.s3 import SCHEME, S3Folder

_PARQUET_TYPES = {
    "identifier": re.compile(r"VARCHAR|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?"),
    "amount": re.compile(r"DOUBLE|FLOAT|DECIMAL.*|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|VARCHAR"),
    "time": re.compile(r"TIMESTAMP WITH TIME ZONE|VARCHAR"),
}


@dataclass(frozen=True)
class Read:
    """What was read.

    Attributes:
        auctions: How many; those without bids among them.
        bids: How many, each once.
        repeated: Rows that were there before, word for word, and were passed over.
        empty: Auctions without bids.
        own: Bids of sellers on their own auctions, which is a finding in itself.
    """

    auctions: int
    bids: int
    repeated: int
    empty: int
    own: int


class _File(NamedTuple):
    """A file of a table, as it is called and where it is now."""

    name: str
    path: Path


def read(database: DuckDBPyConnection, auctions: str, bids: str, now: datetime) -> Read:
    """Fill the tables `auctions` and `bids` of `database` with the contract's columns.

    Args:
        database: Where they are made; it has neither.
        auctions: A file, a directory or s3://BUCKET/PREFIX.
        bids: Likewise.
        now: Nothing may have happened later.

    Raises:
        DataError: Something cannot be read or is wrong; the message has file, row, column, value
            and remedy of the first faults.
    """
    reader = _Reader(database, int(now.timestamp() * 1e6))
    repeated = reader.read(AUCTIONS, auctions) + reader.read(BIDS, bids)
    reader.check_bids_against_auctions()
    reader.drop_places()
    held, placed, empty, own = _row(
        database,
        "SELECT (SELECT count(*) FROM auctions), (SELECT count(*) FROM bids), "
        "(SELECT count(*) FROM auctions ANTI JOIN bids USING (auction_id)), "
        "(SELECT count(*) FROM bids JOIN auctions USING (auction_id) WHERE bidder_id = seller_id)",
    )
    return Read(held, placed, repeated, empty=empty, own=own)


class _Reader:
    """Reads and checks tables; remembers which file is which."""

    def __init__(self, database: DuckDBPyConnection, now: int) -> None:
        self._database = database
        self._now = now
        self._files: dict[str, list[_File]] = {}

    def read(self, table: Table, url: str) -> int:
        """Read, check and make rows unique; returns how many were there more than once."""
        self._database.execute(
            f"CREATE TABLE {table.name} (file UINTEGER, row UBIGINT, {table.definition})"
        )
        self._files[table.name] = files = []
        with _files(table, url) as found:
            for file in found:
                files.append(file)
                self._insert(table, file, len(files) - 1)
            if not files:
                raise nothing_there(table, url)
            rules = [rule for column in table.columns for rule in column_rules(column, self._now)]
            self._check(table, table.name, [*rules, *TABLE_RULES[table.name]])
        return self._make_unique(table)

    def _insert(self, table: Table, file: _File, number: int) -> None:
        source = _Source.open(self._database, table, file)
        values = ", ".join(source.value(column) for column in table.columns)
        with _as_data_error(file):
            self._database.execute(
                f"INSERT INTO {table.name} SELECT {number}, row_number() OVER (), {values} "
                f"FROM {source.scan}"
            )

    def check_bids_against_auctions(self) -> None:
        """Refuse bids on auctions that are not there, and outside their auction's time."""
        # Under other names: what a rule says without a table is of bids.
        auctions = "(SELECT auction_id, opened_at, closes_at, true AS known FROM auctions)"
        self._check(BIDS, f"bids LEFT JOIN {auctions} USING (auction_id)", BID_RULES)

    def _check(self, table: Table, source: str, rules: Sequence[Rule]) -> None:
        """Refuse rows of `source`, which is `table` or joined to it, that break a rule."""
        counts = ", ".join(f"count(*) FILTER ({rule.fault})" for rule in rules)
        found = _row(self._database, f"SELECT {counts} FROM {source}")
        faulty = [rule for rule, count in zip(rules, found, strict=True) if count]
        if faulty:
            self._refuse(table, source, faulty, sum(found))

    def _make_unique(self, table: Table) -> int:
        """Keep one of rows that are the same; refuse rows that share an id and nothing more."""
        key, columns = table.key, ", ".join(column.name for column in table.columns)
        (repeated,) = _row(
            self._database, f"SELECT count(*) - count(DISTINCT {key}) FROM {table.name}"
        )
        if not repeated:
            return 0
        several = (
            f"(SELECT {key} FROM (SELECT DISTINCT {columns} FROM {table.name}) "
            f"GROUP BY {key} HAVING count(*) > 1)"
        )
        rule = Rule(
            key,
            f"{key} IN {several}",
            f"is the {key} of rows that differ",
            "give each its own",
        )
        self._check(table, table.name, [rule])
        self._database.execute(
            f"CREATE OR REPLACE TABLE {table.name} AS SELECT DISTINCT ON ({key}) * "
            f"FROM {table.name}"
        )
        return int(repeated)

    def drop_places(self) -> None:
        """Leave the contract's columns alone."""
        for table in (AUCTIONS, BIDS):
            for column in ("file", "row"):
                self._database.execute(f"ALTER TABLE {table.name} DROP COLUMN {column}")

    def _refuse(self, table: Table, source: str, faulty: list[Rule], count: int) -> None:
        """Raise `DataError` with the first of the faults."""
        types = {column.name: column.type for column in table.columns}
        found: list[tuple[int, int, str]] = []
        for rule in faulty:
            value = f"{table.name}.{rule.column}"
            if types[rule.column] == "time":
                value = f"strftime(make_timestamp({value}), '%Y-%m-%dT%H:%M:%S.%gZ')"
            places = self._database.sql(
                f"SELECT file, row, CAST({value} AS VARCHAR) FROM {source} "
                f"WHERE {rule.fault} ORDER BY file, row LIMIT {MAX_FAULTS}"
            ).fetchall()
            for number, row, stored in places:
                file = self._files[table.name][number]
                shown = self._as_written(table, file, row, rule) if stored is None else stored
                found.append((number, row, fault(f"{file.name}, row {row}", rule, shown)))
        raise faults([line for *_, line in sorted(found)], count)

    def _as_written(self, table: Table, file: _File, row: int, rule: Rule) -> str | None:
        """Read again what does not fit into the database and so is not in it."""
        source = _Source.open(self._database, table, file)
        (value,) = _row(
            self._database,
            f"SELECT CAST(value AS VARCHAR) FROM (SELECT {source.raw(rule.column)} AS value, "
            f"row_number() OVER () AS row FROM {source.scan}) WHERE row = {row}",
        )
        return None if value is None else str(value)


@dataclass(frozen=True)
class _Source:
    """A file as DuckDB reads it.

    Attributes:
        scan: A table function.
        types: The type of each of its columns.
    """

    scan: str
    types: dict[str, str]

    @classmethod
    def open(cls, database: DuckDBPyConnection, table: Table, file: _File) -> "_Source":
        """Look at the file's columns; raises `DataError` if one is missing or of a wrong type."""
        path = _quoted(str(file.path))
        suffix = file.name.removesuffix(".gz").rpartition(".")[2]
        with _as_data_error(file):
            if suffix == "parquet":
                scan = f"read_parquet({path})"
            elif suffix == "csv":
                columns = ", ".join(f"{_quoted(title)}: 'VARCHAR'" for title in _titles(file))
                scan = (
                    f"read_csv({path}, auto_detect = false, header = true, delim = ',', "
                    f"quote = '\"', escape = '\"', columns = {{{columns}}})"
                )
            else:
                columns = ", ".join(f"{column.name}: 'VARCHAR'" for column in table.columns)
                scan = f"read_json({path}, format = 'newline_delimited', columns = {{{columns}}})"
            described = database.sql(f"DESCRIBE SELECT * FROM {scan}").fetchall()
        types = {name: kind for name, kind, *_ in described}
        for column in table.columns:
            if column.name not in types:
                if column.required:
                    raise column_missing(file.name, column, types)
            elif not _PARQUET_TYPES[column.type].fullmatch(types[column.name]):
                raise type_wrong(file.name, column, types[column.name])
        return cls(scan, types)

    def raw(self, column: str) -> str:
        """Return SQL for a value as it is written."""
        return f'"{column}"' if column in self.types else "NULL"

    def value(self, column: Column) -> str:
        """Return SQL for a value as the contract has it, NULL if it cannot be that."""
        raw = self.raw(column.name)
        if column.type != "time":
            return f"TRY_CAST({raw} AS {SQL_TYPES[column.type]})"
        if self.types.get(column.name) != "VARCHAR":
            return f"epoch_us({raw})"
        return (
            f"CASE WHEN regexp_full_match({raw}, '{RFC_3339}') "
            f"THEN epoch_us(TRY_CAST({raw} AS TIMESTAMPTZ)) END"
        )


def _titles(file: _File) -> list[str]:
    """Return the titles of a CSV's columns."""
    opened = gzip.open if file.name.endswith(".gz") else open
    with opened(file.path, "rt", encoding="utf-8-sig", newline="") as lines:
        titles = next(csv.reader(lines), [])
    if not titles or not all(titles) or len(set(titles)) < len(titles):
        raise DataError(
            f"{file.name}: a column has no title of its own: begin with a row of titles"
        )
    return titles


@contextmanager
def _files(table: Table, url: str) -> Iterator[Iterator[_File]]:
    """List the files of a table, in order of their names; those in S3 are fetched one by one."""
    if url.startswith(SCHEME):
        with TemporaryDirectory(prefix=f"{table.name}-") as directory:
            yield _fetched(S3Folder(url), Path(directory))
        return
    yield (_File(str(path), path) for path in list_here(Path(url)))


def _fetched(folder: S3Folder, directory: Path) -> Iterator[_File]:
    for number, name in enumerate(list_in(folder)):
        found = folder.get(name)
        if found is not None:
            path = directory / f"{number}-{Path(name).name}"
            path.write_bytes(found.content)
            yield _File(f"{folder}/{name}", path)


@contextmanager
def _as_data_error(file: _File) -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException:  # no fault of the file
        raise
    except (duckdb.Error, OSError, UnicodeDecodeError, csv.Error) as error:
        what = "; ".join(str(error).strip().splitlines()[:3])
        raise DataError(f"{file.name} cannot be read: {what}: write it anew") from error


def _row(database: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the one row of an answer."""
    (row,) = database.execute(query).fetchall()
    return tuple(row)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
