"""Reads an auction site's tables into Spark, and checks them there by the rules of `reading`.

Files of CSV must all have the same titles in the same order. Rows have no number where many
machines read them: a fault is told with the row's key.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import reduce
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, expr, lit

from flask_app.bids.listing import list_here, list_in, nothing_there
from flask_app.bids.reading import Read
from flask_app.bids.rules import (
    BID_RULES,
    MAX_FAULTS,
    RFC_3339,
    TABLE_RULES,
    Rule,
    column_missing,
    column_rules,
    excerpt,
    fault,
    faults,
    type_wrong,
)
from flask_app.bids.tables import AUCTIONS, BIDS, Column, Table
from flask_app.errors import DataError
from flask_app.s3 import SCHEME, S3Folder

_FILE = "_file"
# Java takes more for a number than others do, such as 1d.
_NUMBER = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
_TYPES = {
    "identifier": re.compile("string|tinyint|smallint|int|bigint"),
    "amount": re.compile(r"string|double|float|decimal\(.*\)|tinyint|smallint|int|bigint"),
    "time": re.compile("string|timestamp"),
}
_CSV = {"header": True, "enforceSchema": False, "escape": '"', "multiLine": True}


def read(
    session: SparkSession, auctions: str, bids: str, now: datetime
) -> tuple[Read, DataFrame, DataFrame]:
    """Return the tables `auctions` and `bids` with the contract's columns, and what was read.

    Args:
        session: Its time zone must be UTC.
        auctions: A file, a directory or s3://BUCKET/PREFIX.
        bids: Likewise.
        now: Nothing may have happened later.

    Raises:
        DataError: Something cannot be read or is wrong; the message has file, key, column, value
            and remedy of the first faults.
    """
    moment = int(now.timestamp() * 1e6)
    with _as_data_error():
        held, more_auctions = _read(session, AUCTIONS, auctions, moment)
        placed, more_bids = _read(session, BIDS, bids, moment)
        known = held.select("auction_id", "seller_id", "opened_at", "closes_at")
        joined = placed.join(known.withColumn("known", lit(True)), "auction_id", "left")
        _check(BIDS, joined, BID_RULES)
        own = joined.filter("bidder_id = seller_id").count()
        empty = held.join(placed, "auction_id", "left_anti").count()
        tables = [
            table.select(*(column.name for column in of.columns))
            for of, table in ((AUCTIONS, held), (BIDS, placed))
        ]
        found = Read(held.count(), placed.count(), more_auctions + more_bids, empty, own)
    return found, *tables


def _read(session: SparkSession, table: Table, url: str, now: int) -> tuple[DataFrame, int]:
    """Read and check a table; returns its rows, each once, and how many there were more."""
    rows = _scan(session, table, url).persist()
    rules = [rule for column in table.columns for rule in column_rules(column, now)]
    _check(table, rows, [*rules, *TABLE_RULES[table.name]])
    repeated = rows.count() - rows.select(table.key).distinct().count()
    if repeated:
        columns = [column.name for column in table.columns]
        several = rows.select(columns).distinct().groupBy(table.key).count().filter("count > 1")
        what, remedy = f"is the {table.key} of rows that differ", "give each its own"
        clash = rows.join(several.select(table.key, lit(True).alias("several")), table.key)
        _check(table, clash, [Rule(table.key, "several", what, remedy)])
        rows = rows.dropDuplicates([table.key])
    return rows, repeated


def _scan(session: SparkSession, table: Table, url: str) -> DataFrame:
    """Return the rows of all files, each with its file, the contract's values and the raw ones."""
    names = list(_list(url))
    by_format: dict[str, Callable[[list[str]], DataFrame]] = {
        ".parquet": lambda paths: session.read.option("mergeSchema", True).parquet(*paths),
        ".csv": lambda paths: session.read.options(**_CSV, mode="FAILFAST").csv(paths),
        ".jsonl": lambda paths: session.read.schema(
            ", ".join(f"{column.name} STRING" for column in table.columns)
        ).json(paths, mode="FAILFAST"),
    }
    parts = []
    for kind, reader in by_format.items():
        paths = [name for name in names if _kind(name) == kind]
        if paths:
            parts.append(_values(table, url, reader(paths)))
    if not parts:
        raise nothing_there(table, url)
    return reduce(DataFrame.unionByName, parts)


def _kind(name: str) -> str:
    kind = Path(name.removesuffix(".gz")).suffix
    return ".jsonl" if kind == ".ndjson" else kind


def _list(url: str) -> Iterator[str]:
    """List a table's files as Spark names them."""
    if url.startswith(SCHEME):
        folder = S3Folder(url)
        yield from (f"{folder}/{name}" for name in list_in(folder))
    else:
        yield from (f"file://{path}" for path in list_here(Path(url).resolve()))


def _values(table: Table, url: str, raw: DataFrame) -> DataFrame:
    """Give the columns their types; what does not fit is null."""
    types = dict(raw.dtypes)
    values = [col("_metadata.file_path").alias(_FILE)]
    for column in table.columns:
        name, kind = column.name, types.get(column.name)
        if kind is None:
            if column.required:
                raise column_missing(url, column, types)
            kind, source = "string", "CAST(NULL AS STRING)"
        elif not _TYPES[column.type].fullmatch(kind):
            raise type_wrong(url, column, kind)
        else:
            source = f"`{name}`"
        values.append(expr(_value(column, kind, source)).alias(name))
        values.append(expr(f"CAST({source} AS STRING)").alias(_raw(name)))
    return raw.select(values)


def _value(column: Column, kind: str, source: str) -> str:
    """Return SQL for a value as the contract has it, NULL if it cannot be that."""
    if column.type == "identifier":
        return f"CAST({source} AS STRING)"
    if column.type == "amount":
        amount = f"TRY_CAST({source} AS DOUBLE)"
        right = _matches(source, _NUMBER) if kind == "string" else "true"
        return f"CASE WHEN {right} THEN {amount} END"
    time = f"TRY_CAST(upper({source}) AS TIMESTAMP)" if kind == "string" else source
    right = _matches(source, RFC_3339) if kind == "string" else "true"
    return f"CASE WHEN {right} THEN unix_micros({time}) END"


def _matches(source: str, pattern: str) -> str:
    """Return SQL for whether the whole of a text matches; a literal has its backslashes doubled."""
    return f"{source} RLIKE '^{pattern.replace(chr(92), 2 * chr(92))}$'"


def _raw(name: str) -> str:
    return f"_raw_{name}"


def _check(table: Table, rows: DataFrame, rules: Sequence[Rule]) -> None:
    """Refuse rows that break a rule."""
    counts = rows.agg(*(expr(f"count_if({rule.fault})") for rule in rules)).first() or ()
    faulty = [rule for rule, count in zip(rules, counts, strict=True) if count]
    if not faulty:
        return
    found = []
    for rule in faulty:
        shown = rows.filter(rule.fault).select(_FILE, _raw(table.key), _raw(rule.column))
        for file, key, value in shown.orderBy(_FILE, _raw(table.key)).limit(MAX_FAULTS).collect():
            place = f"{re.sub('^file:/+', '/', file)}, {table.key} {excerpt(key or '')}"
            found.append(fault(place, rule, value))
    raise faults(sorted(found), sum(counts))


@contextmanager
def _as_data_error() -> Iterator[None]:
    try:
        yield
    except (PySparkException, Py4JError) as error:
        what = "; ".join(str(error).strip().splitlines()[:3])
        raise DataError(f"the tables cannot be read: {what}: write them anew") from error
