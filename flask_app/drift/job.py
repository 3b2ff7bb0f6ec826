"""The job: what the model in production was asked lately, compared with what it learnt from."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flask_app import files
from flask_app.drift import pages
from flask_app.drift.comparison import compare
from flask_app.drift.findings import examine
from flask_app.drift.labels import Labelled, read_labelled
from flask_app.drift.metrics import RESULT_METRICS, RESULTS, RUN, RUN_METRICS
from flask_app.drift.performance import estimated, labelled
from flask_app.drift.reports import Reports
from flask_app.drift.summary import Drift, LabelCoverage, Streaks, Summary, samples
from flask_app.drift.window import Rows, read_window
from flask_app.errors import SettingError, StoreError
from flask_app.log.reader import Span
from flask_app.model.bundle import DRIFT_CALIBRATION, REFERENCE, Bundle, Manifest
from flask_app.model.stores import ModelStore, open_store
from flask_app.record import FEATURES
from flask_app.reference.distance import limits
from flask_app.reference.thresholds import DriftThresholds
from flask_app.settings import Settings
from flask_app.textfile import Sample, render

CLOCK_TOLERANCE_SECONDS = 300
"""How far a server's clock may be ahead of this one."""

DELAY_QUANTILES = (0.5, 0.9)


class DriftExit(IntEnum):
    """How a run ended; 2 is left to mistakes on the command line."""

    NO_DRIFT = 0
    FAILED = 1
    DRIFT = 3
    TOO_FEW_ROWS = 4
    ALREADY_RUNNING = 5
    UNEXPECTED = 70

    @classmethod
    def of(cls, summary: Summary) -> "DriftExit":
        """Tell what a finished run has found."""
        if summary.drift is None:
            return cls.TOO_FEW_ROWS
        return cls.DRIFT if summary.alarm else cls.NO_DRIFT


SUCCESS = {DriftExit.NO_DRIFT, DriftExit.DRIFT, DriftExit.TOO_FEW_ROWS}


@dataclass(frozen=True)
class Model:
    """What is in production."""

    manifest: Manifest
    reference: NDArray[np.float64]
    calibration: DriftThresholds


def run(settings: Settings, now: float) -> Summary:
    """Look at the time up to `now` (Unix time, s) and publish what is found.

    Raises:
        AlreadyRunning: Another run is at work.
        ShillError: What is to be compared cannot be read, or what was found cannot be written. The
            metrics stay as they were.
    """
    if settings.drift_minimum_rows > settings.drift_window_rows:
        raise SettingError(
            f"SHILL_DRIFT_MINIMUM_ROWS={settings.drift_minimum_rows} is above "
            f"SHILL_DRIFT_WINDOW_ROWS={settings.drift_window_rows}: no window would ever be scored"
        )
    with files.locked(settings.drift_reports_dir):
        files.sweep(settings.drift_reports_dir)
        for name in (RESULTS, RUN):  # other jobs' files are there, too
            files.sweep(settings.drift_textfile_dir, name)
        reports = Reports(settings.drift_reports_dir)
        model = _in_production(open_store(settings))
        summary, page = _look(settings, now, model, reports)
        reports.add(summary, page, settings.drift_reports_kept)
        files.write(settings.drift_textfile_dir / RESULTS, render(samples(summary), RESULT_METRICS))
    return summary


def record(settings: Settings, code: DriftExit, now: float, seconds: float) -> None:
    """Write how a run has ended, at `now`, after so many seconds; raises `JobError`."""
    content = render(
        [
            Sample("shill_drift_last_run_timestamp_seconds", now),
            Sample("shill_drift_last_exit_code", int(code)),
            Sample("shill_drift_job_duration_seconds", seconds),
        ],
        RUN_METRICS,
    )
    files.write(settings.drift_textfile_dir / RUN, content)


def _in_production(store: ModelStore) -> Model:
    pointer = store.production()
    if pointer is None:
        raise StoreError(f"{store}: no version is in production: promote one")
    directory = store.fetch(pointer.version)
    bundle = Bundle.open(directory, manifest_sha256=pointer.manifest_sha256)
    reference = pa.BufferReader(bundle.read(REFERENCE))
    table = pq.ParquetFile(reference).read(columns=list(FEATURES))
    return Model(
        bundle.manifest,
        np.column_stack([table[name].to_numpy() for name in FEATURES]).astype(np.float64),
        DriftThresholds.from_json(bundle.read(DRIFT_CALIBRATION)),
    )


def _look(settings: Settings, now: float, model: Model, reports: Reports) -> tuple[Summary, bytes]:
    """Read the logs and judge what is in them; returns that and a page about it."""
    version, baseline = model.manifest.version, model.manifest.metrics
    hours, rows = settings.drift_window_hours, settings.drift_window_rows
    window = read_window(settings.log_dir, version, _span(now, hours), rows)
    hours, rows = settings.drift_label_hours, settings.drift_label_rows
    judged = read_labelled(settings.log_dir, version, _span(now, hours), rows)
    examined = examine(
        window,
        model.manifest.features,
        torn_labels=judged.torn_lines,
        minimum_rows=settings.drift_minimum_rows,
        sample_rows=settings.drift_sample_rows,
    )
    drift, page, expected = None, None, None
    if len(examined.scored):
        drift, page = _compare(model, examined.scored)
        expected = estimated(examined.usable["probability"], model.manifest.threshold.value)

    at, last = datetime.fromtimestamp(now, UTC), reports.last
    number = last.run + 1 if last else 1
    before = last.streaks if last and last.model_version == version else Streaks.none()
    summary = Summary(
        run=number,
        report=reports.name(at, number),
        at=at,
        model_version=version,
        record_schema=model.manifest.record_schema,
        rows=len(window.rows),
        start=window.made_at(0),
        end=window.made_at(-1),
        findings=examined.findings,
        drift=drift,
        estimated=expected,
        labelled=labelled(
            np.array(judged.labels), np.array(judged.predictions), np.array(judged.weights)
        ),
        baseline={name: getattr(baseline, name) for name in ("precision", "recall", "f1")},
        feedback=_feedback(judged),
        streaks=before.after(drift),
        last_scored_at=at if drift else last.last_scored_at if last else None,
    )
    return summary, page or pages.unscored(summary)


def _span(now: float, hours: float) -> Span:
    return Span(round((now - 3600 * hours) * 1000), round((now + CLOCK_TOLERANCE_SECONDS) * 1000))


def _compare(model: Model, rows: Rows) -> tuple[Drift, bytes]:
    """Let Evidently measure, and judge by the thresholds for so many rows."""
    lowest, highest = limits(model.reference)
    thresholds = {name: model.calibration.threshold(name, len(rows)) for name in FEATURES}
    distances, page = compare(
        np.clip(model.reference, lowest, highest),
        np.clip(rows["features"].astype(np.float64), lowest, highest),
        thresholds,
    )
    return Drift.of(distances, thresholds), page


def _feedback(judged: Labelled) -> LabelCoverage:
    delays = judged.delays and np.quantile(judged.delays, DELAY_QUANTILES).tolist()
    return LabelCoverage(
        coverage=judged.coverage,
        rows=len(judged.labels),
        unknown=judged.unknown,
        delay_seconds=dict(zip(map(str, DELAY_QUANTILES), delays, strict=False)),
    )
