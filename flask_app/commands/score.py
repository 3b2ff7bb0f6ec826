"""`score`: score whole auctions from an auction site's own tables, day by day.

The tables are Parquet, CSV or JSON lines, in a file, a directory or S3; docs/bids.md says what is
in them. The output has a directory for each day on which auctions closed, dt=YYYY-MM-DD (UTC), with
their records in Parquet: features, probability, band and reasons. A day that is there is not scored
again.

Examples:
    shill simulate --bids site/
    shill score --auctions site/auctions.csv --bids site/bids.csv --output scored/

Exit status: 0 all closed auctions of days that are over are scored, 3 likewise, but bids came after
their day was scored (--again scores it anew), 1 tables, model or output are at fault: nothing of
the day in question is written, 5 another run is at work.
"""

import argparse
import sys
from datetime import date
from enum import IntEnum

from tqdm import tqdm

from flask_app.commands.model import BUNDLE, load
from flask_app.commands.site import declare_tables
from flask_app.errors import AlreadyRunning, ShillError
from flask_app.model.stores import open_store
from flask_app.scoring import job
from flask_app.scoring.engine import DuckDB, Engine
from flask_app.settings import Settings


class ScoreExit(IntEnum):
    """Exit statuses."""

    DONE = 0
    LATE_BIDS = 3
    ALREADY_RUNNING = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    declare_tables(parser)
    parser.add_argument(
        "--output", required=True, metavar="PATH", help="directory or s3://BUCKET/PREFIX"
    )
    parser.add_argument("--model", **BUNDLE)
    parser.add_argument(
        "--again",
        type=date.fromisoformat,
        action="append",
        default=[],
        metavar="DAY",
        help="score a day anew and replace its file, YYYY-MM-DD; may be repeated",
    )
    parser.add_argument(
        "--no-reasons",
        action="store_true",
        help="do not explain what is to review or to block, which takes some 1.5 ms each",
    )
    parser.add_argument(
        "--engine",
        choices=("duckdb", "spark"),
        default="duckdb",
        help="spark: the session that spark-submit gives, or a local one (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Score, and say what was scored and what was not."""
    predictor = load(open_store(Settings.from_environment()), arguments.model)
    try:
        outcome = job.run(
            predictor,
            arguments.auctions,
            arguments.bids,
            arguments.output,
            again=arguments.again,
            explain=not arguments.no_reasons,
            engine=_engine(arguments.engine),
            memory_limit=arguments.memory_limit,
            progress=lambda days, count: tqdm(days, total=count, unit="day", disable=None),
        )
    except AlreadyRunning as error:
        print(f"error: {error}", file=sys.stderr)
        return ScoreExit.ALREADY_RUNNING
    read = outcome.read
    print(
        f"{read.auctions:,} auctions ({read.empty:,} without bids, {outcome.open_auctions:,} to "
        f"score when their day is over), {read.bids:,} bids ({read.repeated:,} rows repeated)"
    )
    bands = outcome.bands
    print(
        f"{len(outcome.days)} days scored into {arguments.output} by {predictor.version}: "
        f"{bands.total():,} records, {bands['review']:,} to review, {bands['block']:,} to block; "
        f"{outcome.days_before} days were scored before"
    )
    if read.own:
        print(f"{read.own:,} bids are of sellers on their own auctions")
    for day, count in outcome.late.items():
        print(f"{day}: {count:+,} bids since it was scored: --again {day}", file=sys.stderr)
    return ScoreExit.LATE_BIDS if outcome.late else ScoreExit.DONE


def _engine(name: str) -> type[Engine]:
    if name == "duckdb":
        return DuckDB
    try:
        from flask_app.scoring.spark import Spark  # noqa: PLC0415 - in an environment of its own
    except ModuleNotFoundError as error:
        raise ShillError(
            f"--engine spark needs the module {error.name}, which is not installed: "
            "pip install 'shill-bidding[spark]'"
        ) from error
    return Spark
