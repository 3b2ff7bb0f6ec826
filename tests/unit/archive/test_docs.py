"""The page's tables are those that are shipped, and its queries run."""

import re
from pathlib import Path

import pytest

from flask_app.archive.query import connect
from flask_app.archive.segments import KINDS, Kind
from tests.unit.archive.conftest import Host

PAGE = (Path(__file__).parents[3] / "docs" / "archive.md").read_text()
ATHENA = {
    "string": "string",
    "double": "double",
    "int8": "tinyint",
    "bool": "boolean",
    "timestamp[us]": "timestamp",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_athena_is_told_the_columns_and_the_place_of_what_is_shipped(kind: Kind) -> None:
    found = re.search(
        rf"CREATE EXTERNAL TABLE {kind.name} \((.*?)\n\)\n(.*?)\n\);", PAGE, re.DOTALL
    )
    assert found
    columns = [line.strip().rstrip(",").split(" ") for line in found[1].strip().splitlines()]
    assert {name.strip("`"): of for name, of in columns} == {
        field.name: ATHENA[str(field.type)] for field in kind.schema
    }
    assert [name.strip("`") for name, _ in columns] == kind.schema.names
    assert f"'s3://BUCKET/{kind.name}/dt=${{dt}}/'" in found[2]


def test_the_queries_of_the_page_run(host: Host) -> None:
    host.segment(2)
    host.label(host.acknowledged[:1])
    section = PAGE.partition("## With DuckDB")[2].partition("## With Athena")[0]
    queries = re.findall(r"^SELECT.*?;", section, re.DOTALL | re.MULTILINE)
    with connect(host.log_dir, "") as connection:
        by_day, by_label = [connection.execute(query).fetchall() for query in queries]
    assert [row[1:] for row in by_day] == [("tests-000000000000", 2, 0)]
    assert by_label == [("tests-000000000000", 0, True, 1)]
