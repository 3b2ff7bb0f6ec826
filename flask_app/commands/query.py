"""`query`: run SQL over the logs, here (SHILL_LOG_DIR) and in the archive (SHILL_ARCHIVE).

Examples:
    shill query "SELECT dt, count(*) FROM predictions WHERE dt >= '2026-11-01' GROUP BY dt"
    shill query --json "SELECT * FROM labels LIMIT 10"

Exit status: 0 the rows are printed, 1 the query is wrong or the archive cannot be read.
"""

import argparse
import csv
import sys

import duckdb

from flask_app.archive.query import connect
from flask_app.commands.table import print_json, table
from flask_app.errors import ArchiveError
from flask_app.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("sql", help="on the views `predictions` and `labels`")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    form.add_argument("--json", action="store_true", help="print a JSON array of objects")


def run(arguments: argparse.Namespace) -> int:
    """Print the rows; returns 0."""
    settings = Settings.from_environment()
    with connect(settings.log_dir, settings.archive) as connection:
        try:
            answer = connection.execute(arguments.sql)
            header = [column[0] for column in answer.description or ()]
            found = answer.fetchall()
        except duckdb.Error as error:
            raise ArchiveError(str(error)) from None
    if arguments.json:
        print_json([dict(zip(header, row, strict=True)) for row in found])
        return 0
    rows = [["" if cell is None else cell for cell in row] for row in found]
    if arguments.csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows([header, *rows])
    else:
        print(table(header, rows))
    return 0
