"""`drift`: compare the latest predictions with the training data, and publish what is found.

Example:
    SHILL_LOG_DIR=/var/lib/shill/predictions shill drift

Exit status: 0 no drift, 3 drift, 4 too few predictions to tell, 1 an error with a remedy, 5 another
run is at work, 70 a fault of this program. Runs in the drift job's image: no serving dependency.
"""

import argparse
import sys
import time
import traceback

from flask_app.drift import job
from flask_app.drift.job import SUCCESS, DriftExit
from flask_app.drift.pages import explained, verdict
from flask_app.errors import AlreadyRunning, JobError, ShillError
from flask_app.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the settings SHILL_DRIFT_* say it all."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Run the job, and record how that went, however it went."""
    del arguments
    settings = Settings.from_environment()
    began = time.monotonic()
    code, told = _run(settings)
    try:
        job.record(settings, code, time.time(), time.monotonic() - began)
    except JobError as error:
        code, told = DriftExit.FAILED, f"{told}\nerror: {error}"
    # Last of all: the disk of the log may be full as well.
    print(told, file=sys.stdout if code in SUCCESS else sys.stderr)
    return code


def _run(settings: Settings) -> tuple[DriftExit, str]:
    try:
        summary = job.run(settings, time.time())
    except AlreadyRunning as error:
        return DriftExit.ALREADY_RUNNING, f"error: {error}"
    except ShillError as error:
        return DriftExit.FAILED, f"error: {error}"
    except Exception:  # noqa: BLE001 - the metrics are to tell of it
        return DriftExit.UNEXPECTED, traceback.format_exc()
    return DriftExit.of(summary), "\n  ".join([verdict(summary), *explained(summary)])
