"""The job: one run of the `Shipper` on this host, how it ended, and its metrics."""

import socket
import time
import traceback
from enum import IntEnum
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from flask_app import files
from flask_app.archive.ship import Outcome, Shipper
from flask_app.errors import SettingError, ShillError
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
    """How a run ended; 2 is left to mistakes on the command line."""

    SHIPPED = 0
    FAILED = 1
    INCOMPLETE = 3
    LIMITED = 4
    ALREADY_RUNNING = 5
    UNEXPECTED = 70

    @classmethod
    def of(cls, outcome: Outcome) -> "ShipExit":
        """Tell how a run ended that no fault of this program has ended."""
        if outcome.failures:
            return cls.FAILED if outcome.interrupted else cls.INCOMPLETE
        return cls.LIMITED if outcome.pending else cls.SHIPPED


SUCCESS = {ShipExit.SHIPPED, ShipExit.LIMITED}


def run(settings: Settings) -> tuple[ShipExit, Outcome]:
    """Ship, and record how that went, however it went.

    Raises:
        AlreadyRunning: Another run is at work.
        SettingError: There is no archive, or segments would go before the drift job has read them.
        JobError: The metrics cannot be written.
    """
    shipper = _shipper(settings)
    with files.locked(settings.log_dir):
        files.sweep(settings.log_dir)
        files.sweep(settings.drift_textfile_dir, TEXTFILE)
        code = _run(shipper)
        _record(settings.drift_textfile_dir / TEXTFILE, shipper.outcome, code)
    return code, shipper.outcome


def _shipper(settings: Settings) -> Shipper:
    if not settings.archive:
        raise SettingError("SHILL_ARCHIVE is empty: set it to s3://BUCKET")
    windows = max(settings.drift_window_hours, settings.drift_label_hours)
    if settings.archive_keep_hours < windows:
        raise SettingError(
            f"SHILL_ARCHIVE_KEEP_HOURS={settings.archive_keep_hours:g} is below the drift job's "
            f"windows: set it to {windows:g} or more"
        )
    return Shipper(
        S3Folder(settings.archive),
        log_dir=settings.log_dir,
        reports_dir=settings.drift_reports_dir,
        host=settings.archive_host or socket.gethostname(),
        keep_seconds=settings.archive_keep_hours * 3600,
        limit=settings.archive_run_segments,
    )


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
    return ShipExit.of(outcome)


def _record(path: Path, outcome: Outcome, code: ShipExit) -> None:
    """Write the run's metrics for node exporter."""
    now = time.time()
    samples = [
        Sample(_SUCCESS, now if code in SUCCESS else _last_success(path)),
        Sample("shill_archive_last_run_timestamp_seconds", now),
        Sample("shill_archive_pending_segments", outcome.pending),
        Sample("shill_archive_shipped_segments", outcome.shipped),
        Sample("shill_archive_deleted_segments", outcome.deleted),
        Sample("shill_archive_torn_lines", outcome.torn_lines),
        Sample("shill_archive_failures", len(outcome.failures)),
    ]
    files.write(path, render(samples, METRICS))


def _last_success(path: Path) -> float | None:
    """Return what the run before has recorded; None if there is nothing to go by."""
    families = text_string_to_metric_families(path.read_text() if path.exists() else "")
    samples = (sample for family in families for sample in family.samples)
    return next((sample.value for sample in samples if sample.name == _SUCCESS), None)
