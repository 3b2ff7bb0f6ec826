"""`ship`: ship closed segments and drift reports to SHILL_ARCHIVE, delete old segments here.

Exit status: 0 all is shipped, 4 the limit of a run was reached and the next one goes on, 3
something could not be shipped or deleted, 1 an error ended the run (S3 does not answer), 5 another
run is at work, 70 a fault of this program. Runs in the drift job's image: no serving dependency.
"""

import argparse
import re
import socket
import sys
import time
import traceback
from enum import IntEnum
from pathlib import Path

from flask_app import files
from flask_app.archive.ship import Outcome, Shipper
from flask_app.errors import AlreadyRunning, SettingError, ShillError
from flask_app.s3 import S3Folder
from flask_app.settings import Settings
from flask_app.textfile import Sample, render

TEXTFILE = "shill_archive.prom"
_SUCCESS = "shill_archive_last_success_timestamp_seconds"
METRICS = {
    _SUCCESS: "When a run last shipped all that it was to.",
    "shill_archive_last_run_timestamp_seconds": "When the last run ended, however it did.",
    "shill_archive_pending_segments": "Closed segments that are not in the archive.",
    "shill_archive_shipped_segments": "Segments that the last run shipped.",
    "shill_archive_deleted_segments": "Shipped segments that the last run deleted here.",
    "shill_archive_torn_lines": "Incomplete lines of the segments that the last run shipped.",
    "shill_archive_failures": "What the last run could not ship or delete.",
}


class ShipExit(IntEnum):
    """How a run can end."""

    SHIPPED = 0
    FAILED = 1
    INCOMPLETE = 3
    LIMITED = 4
    ALREADY_RUNNING = 5
    UNEXPECTED = 70


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the settings say it all."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Ship, and record how that went, however it went."""
    del arguments
    settings = Settings.from_environment()
    if not settings.archive:
        raise SettingError("SHILL_ARCHIVE is empty: set it to s3://BUCKET")
    windows = max(settings.drift_window_hours, settings.drift_label_hours)
    if settings.archive_keep_hours < windows:
        raise SettingError(
            f"SHILL_ARCHIVE_KEEP_HOURS={settings.archive_keep_hours:g} is below the drift job's "
            f"windows: set it to {windows:g} or more"
        )
    shipper = Shipper(
        S3Folder(settings.archive),
        log_dir=settings.log_dir,
        reports_dir=settings.drift_reports_dir,
        host=settings.archive_host or socket.gethostname(),
        keep_seconds=settings.archive_keep_hours * 3600,
        limit=settings.archive_run_segments,
    )
    try:
        with files.locked(settings.log_dir):
            code = _run(shipper)
            _record(settings.drift_textfile_dir / TEXTFILE, shipper.outcome, code)
    except AlreadyRunning as error:
        print(f"error: {error}", file=sys.stderr)
        return ShipExit.ALREADY_RUNNING
    return code


def _run(shipper: Shipper) -> ShipExit:
    outcome = shipper.outcome
    try:
        shipper.run()
    except ShillError as error:
        outcome.failures.append(str(error))
        outcome.interrupted = True
    except Exception as error:  # noqa: BLE001 - the metrics are to tell of it
        traceback.print_exc()
        outcome.failures.append(repr(error))
        return ShipExit.UNEXPECTED
    told = [
        (
            f"{outcome.shipped} segments and {outcome.reports} reports shipped, {outcome.deleted} "
            f"segments deleted here, {outcome.pending} pending, {outcome.torn_lines} torn lines"
        ),
        # Last, where the host's log of runs looks.
        *(f"error: {failure}" for failure in outcome.failures),
    ]
    # To one stream: an engine takes in two of them in any order.
    print(*told, sep="\n", file=sys.stderr if outcome.failures else sys.stdout)
    if outcome.failures:
        return ShipExit.FAILED if outcome.interrupted else ShipExit.INCOMPLETE
    return ShipExit.LIMITED if outcome.pending else ShipExit.SHIPPED


def _record(path: Path, outcome: Outcome, code: ShipExit) -> None:
    """Write the run's metrics for node exporter."""
    now = time.time()
    succeeded = code in {ShipExit.SHIPPED, ShipExit.LIMITED}
    samples = [
        Sample(_SUCCESS, now if succeeded else _last_success(path)),
        Sample("shill_archive_last_run_timestamp_seconds", now),
        Sample("shill_archive_pending_segments", outcome.pending),
        Sample("shill_archive_shipped_segments", outcome.shipped),
        Sample("shill_archive_deleted_segments", outcome.deleted),
        Sample("shill_archive_torn_lines", outcome.torn_lines),
        Sample("shill_archive_failures", len(outcome.failures)),
    ]
    files.write(path, render(samples, METRICS))


def _last_success(path: Path) -> float | None:
    if not path.exists():
        return None
    found = re.search(rf"^{_SUCCESS} (\S+)$", path.read_text(), re.MULTILINE)
    return float(found[1]) if found else None
