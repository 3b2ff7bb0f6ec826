"""`ship`: ship closed segments and drift reports to SHILL_ARCHIVE, delete old segments here.

Example:
    SHILL_ARCHIVE=s3://bucket shill ship

Exit status: 0 all is shipped, 4 the limit of a run was reached and the next one goes on, 3
something could not be shipped or deleted, 1 an error ended the run (S3 does not answer), 5 another
run is at work, 70 a fault of this program. Runs in the drift job's image: no serving dependency.
"""

import argparse
import sys

from flask_app.archive import job
from flask_app.archive.job import ShipExit
from flask_app.errors import AlreadyRunning
from flask_app.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the settings say it all."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Ship, and say what was shipped and what was not."""
    del arguments
    try:
        code, outcome = job.run(Settings.from_environment())
    except AlreadyRunning as error:
        print(f"error: {error}", file=sys.stderr)
        return ShipExit.ALREADY_RUNNING
    lines = [
        (
            f"{outcome.shipped} segments and {outcome.reports} reports shipped, {outcome.deleted} "
            f"segments deleted here, {outcome.pending} pending, {outcome.torn_lines} torn lines"
        ),
        # Last, where the host's log of runs looks.
        *(f"error: {failure}" for failure in outcome.failures),
    ]
    # To one stream: an engine takes in two of them in any order.
    print(*lines, sep="\n", file=sys.stderr if outcome.failures else sys.stdout)
    return code
