"""SQL over the logs: what this host has, open segments included, and what the archive has.

A segment that is in both places is read from the archive alone, so no line counts twice.
"""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import fs

from flask_app.archive.segments import KINDS, Kind
from flask_app.s3 import SCHEME, S3Folder

_DT = pa.schema([("dt", pa.date32())])
_SQL_TYPES = {
    "string": "VARCHAR",
    "double": "DOUBLE",
    "int8": "TINYINT",
    "bool": "BOOLEAN",
    "timestamp[us]": "TIMESTAMP",
}


class Archive:
    """Parquet files by kind and day; a bucket, or a directory that a bucket was copied to."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._folder = S3Folder(url) if url.startswith(SCHEME) else None

    def names(self, kind: Kind) -> list[str]:
        """List the segments of `kind` that it has."""
        if self._folder is not None:
            names = list(self._folder.names(f"{kind.name}/dt="))
        else:
            root = Path(self._url)
            names = [str(path.relative_to(root)) for path in root.glob(f"{kind.name}/dt=*/*")]
        return [name for name in names if name.endswith(".parquet")]

    def dataset(self, kind: Kind, names: list[str]) -> ds.Dataset:
        """Return the segments `names`; of those that a query's `dt` excludes nothing is read."""
        return ds.dataset(
            [f"{self._root}/{name}" for name in names],
            filesystem=self._filesystem,
            format="parquet",
            schema=pa.unify_schemas([kind.schema, _DT]),
            partitioning=ds.partitioning(_DT, flavor="hive"),
        )

    @property
    def _root(self) -> str:
        if self._folder is None:
            return str(Path(self._url).resolve())
        return f"{self._folder.bucket}/{self._folder.key('')}".rstrip("/")

    @property
    def _filesystem(self) -> fs.FileSystem:
        """Arrow's own way to S3, with the credentials, region and endpoint that boto3 found."""
        if self._folder is None:
            return fs.LocalFileSystem()
        endpoint = urlsplit(self._folder.client.meta.endpoint_url)
        return fs.S3FileSystem(
            **self._folder.credentials(),
            region=self._folder.client.meta.region_name,
            scheme=endpoint.scheme,
            endpoint_override=endpoint.netloc,
            connect_timeout=2,
            request_timeout=30,
        )


def connect(log_dir: Path, archive: str) -> duckdb.DuckDBPyConnection:
    """Return a database with the views `predictions` and `labels`.

    Args:
        log_dir: The prediction log of this host; it may be absent.
        archive: s3://BUCKET, a directory with a copy of it, or nothing.
    """
    connection = duckdb.connect()
    elsewhere = Archive(archive) if archive else None
    for kind in KINDS:
        archived = elsewhere.names(kind) if elsewhere else []
        stems = {PurePosixPath(name).stem for name in archived}
        here = [path for path in kind.segments(log_dir) if path.stem not in stems]
        columns = ", ".join(f'"{name}"' for name in (*kind.columns, "dt"))
        sources = [_nothing(kind)]
        if elsewhere and archived:
            connection.register(f"archived_{kind.name}", elsewhere.dataset(kind, archived))
            sources.append(f"SELECT {columns} FROM archived_{kind.name}")  # noqa: S608
        if here:
            sources.append(_lines(kind, here))
        connection.execute(f"CREATE VIEW {kind.name} AS {' UNION ALL '.join(sources)}")
    return connection


def _nothing(kind: Kind) -> str:
    """Return SQL for no rows, which gives the view its types."""
    typed = [f'NULL::{_sql_type(of)} AS "{name}"' for name, (_, of) in kind.columns.items()]
    return f"SELECT {', '.join(typed)}, NULL::DATE AS dt WHERE false"


def _lines(kind: Kind, segments: list[Path]) -> str:
    """Return SQL for the whole lines of `segments`."""
    paths = ", ".join(_quoted(str(path)) for path in segments)
    fields: dict[str, str] = {}
    nested: dict[str, list[str]] = {}
    columns = []
    for name, (path, of) in kind.columns.items():
        outer, _, inner = path.partition(".")
        value, sql_type = ".".join(f'"{part}"' for part in path.split(".")), _sql_type(of)
        if sql_type == "TIMESTAMP":  # which would pass over an offset
            value, sql_type = f"timezone('UTC', {value})", "TIMESTAMPTZ"
        columns.append(f'{value} AS "{name}"')
        if inner:
            nested.setdefault(outer, []).append(f'"{inner}" {sql_type}')
        else:
            fields[outer] = sql_type
    fields |= {outer: f"STRUCT({', '.join(inner)})" for outer, inner in nested.items()}
    whole = [f'"{name}" IS NOT NULL' for name in kind.always]
    types = ", ".join(f'"{name}": {_quoted(of)}' for name, of in fields.items())
    return (
        f"SELECT {', '.join(columns)}, dt FROM read_ndjson([{paths}], columns={{{types}}}, "  # noqa: S608
        "hive_partitioning=true, hive_types={dt: DATE}, ignore_errors=true) "
        f"WHERE {' AND '.join(whole)}"  # a torn line is read as NULLs
    )


def _sql_type(kind: pa.DataType) -> str:
    return _SQL_TYPES[str(kind)]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
