"""What a run has found: kept as JSON, taken up by the next run, shown as metrics."""

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from flask_app.drift.performance import PERFORMANCE_METRICS, Performance
from flask_app.drift.scores import drift_score
from flask_app.record import FEATURES
from flask_app.store.bundle import Timestamp, Version
from flask_app.textfile import Sample

ALARM_SCORE = 0.5
"""Above it the data has drifted."""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How far the window is from the reference, by feature."""

    score: float
    distances: dict[str, float]
    thresholds: dict[str, float]
    drifted: tuple[str, ...]

    @classmethod
    def of(cls, distances: dict[str, float], thresholds: dict[str, float]) -> "Drift":
        """Judge `distances` by `thresholds`."""
        drifted = tuple(name for name, d in distances.items() if d > thresholds[name])
        score = drift_score(distances, thresholds)
        return cls(score=score, distances=distances, thresholds=thresholds, drifted=drifted)


class Streaks(msgspec.Struct, frozen=True):
    """For how many scored runs in a row there has been an alarm: any, and by feature."""

    any: int
    features: dict[str, int]

    @classmethod
    def none(cls) -> "Streaks":
        """Before the first scored run of a model."""
        return cls(0, dict.fromkeys(FEATURES, 0))

    def after(self, drift: Drift | None) -> "Streaks":
        """Carry on; a run that could not score leaves them as they are."""
        if drift is None:
            return self
        features = {
            name: streak + 1 if name in drift.drifted else 0
            for name, streak in self.features.items()
        }
        return Streaks(self.any + 1 if drift.score > ALARM_SCORE else 0, features)


class LabelCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """How many predictions are labelled, and how soon they were."""

    coverage: float
    rows: int
    unknown: int
    delay_seconds: dict[str, float]
    """By quantile; empty without labels."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has finished.

    Attributes:
        run: Counts the runs: unlike the time it never goes back.
        report: Name of the report's directory.
        at: When it finished.
        model_version: The model in production.
        record_schema: Of its records, see `flask_app.record.SCHEMA_ID`.
        rows: Predictions in the window.
        start: When the first of them was made.
        end: When the last of them was made.
        findings: See `flask_app.drift.findings.FINDINGS`.
        drift: None if there were too few rows.
        estimated: Performance to be expected of the window; None if there were too few rows.
        labelled: Performance by the labels.
        baseline: Performance in cross-validation at training.
        feedback: What the labelled performance rests on.
        streaks: Up to and including this run.
        last_scored_at: When the last run finished that had rows enough.
    """

    run: int
    report: str
    at: Timestamp
    model_version: Version
    rows: int
    start: Timestamp | None
    end: Timestamp | None
    findings: dict[str, int]
    drift: Drift | None
    estimated: Performance | None
    labelled: Performance
    baseline: dict[str, float]
    feedback: LabelCoverage
    streaks: Streaks
    last_scored_at: Timestamp | None
    record_schema: str = ""  # in reports of earlier releases

    @property
    def alarm(self) -> bool:
        """Whether the data of this window has drifted."""
        return self.drift is not None and self.drift.score > ALARM_SCORE


def samples(summary: Summary) -> Iterator[Sample]:
    """Show `summary` as metrics."""
    drift = summary.drift
    if drift is not None:
        yield Sample("shill_data_drift_score", drift.score)
        yield from _by("shill_feature_drift_distance", "feature", drift.distances)
        yield from _by("shill_feature_drift_threshold", "feature", drift.thresholds)
        yield Sample("shill_drifted_features", len(drift.drifted))
    yield Sample("shill_drift_alarm_streak", summary.streaks.any)
    yield from _by("shill_feature_drift_alarm_streak", "feature", summary.streaks.features)
    for source, performance in (("estimated", summary.estimated), ("labelled", summary.labelled)):
        for metric in PERFORMANCE_METRICS if performance else ():
            labels = {"source": source, "metric": metric}
            yield Sample("shill_model_performance_score", getattr(performance, metric), labels)
    yield from _by("shill_model_performance_baseline", "metric", summary.baseline)
    yield Sample("shill_label_coverage_ratio", summary.feedback.coverage)
    yield Sample("shill_labelled_rows", summary.feedback.rows)
    yield Sample("shill_unknown_labels", summary.feedback.unknown)
    yield from _by("shill_label_delay_seconds", "quantile", summary.feedback.delay_seconds)
    yield Sample("shill_drift_window_rows", summary.rows)
    yield Sample("shill_drift_window_start_timestamp_seconds", _seconds(summary.start))
    yield Sample("shill_drift_window_end_timestamp_seconds", _seconds(summary.end))
    yield from _by("shill_drift_window_findings", "finding", summary.findings)
    yield Sample("shill_drift_model_info", 1, {"version": summary.model_version})
    yield Sample("shill_drift_last_success_timestamp_seconds", _seconds(summary.at))
    yield Sample("shill_drift_last_score_timestamp_seconds", _seconds(summary.last_scored_at))
    yield Sample("shill_drift_report_info", 1, {"report": summary.report})


def _by(name: str, label: str, values: Mapping[str, float]) -> Iterator[Sample]:
    for text, value in values.items():
        yield Sample(name, value, {label: text})


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()
