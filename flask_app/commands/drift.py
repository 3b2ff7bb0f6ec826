"""`drift`: compare the latest predictions with the training data, and publish what is found.

Exit status: 0 no drift, 3 drift, 4 too few predictions to tell, 1 an error with a remedy, 5 another
run is at work, 70 a fault of this program. Runs in the drift job's image: no serving dependency.
"""

import argparse
import sys
import time
import traceback

from flask_app.drift import job
from flask_app.drift.job import Exit
from flask_app.drift.pages import verdict
from flask_app.errors import AlreadyRunning, DriftError, ShillError
from flask_app.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the settings SHILL_DRIFT_* say it all."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Run the job, and record how that went, however it went."""
    del arguments
    settings = Settings.from_environment()
    began = time.monotonic()
    code = _run(settings)
    try:
        job.record(settings, code, time.time(), time.monotonic() - began)
    except DriftError as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.FAILED
    return code


def _run(settings: Settings) -> Exit:
    try:
        summary = job.run(settings, time.time())
    except ShillError as error:
        print(f"error: {error}", file=sys.stderr)
        return Exit.ALREADY_RUNNING if isinstance(error, AlreadyRunning) else Exit.FAILED
    except Exception:  # noqa: BLE001 - the metrics are to tell of it
        traceback.print_exc()
        return Exit.UNEXPECTED
    print(verdict(summary))
    if summary.drift is None:
        return Exit.TOO_FEW_ROWS
    return Exit.DRIFT if summary.alarm else Exit.NO_DRIFT
