"""A run of the job shows what is in the logs, and nothing wrong whatever goes wrong."""

import re
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from flask_app import files
from flask_app.cli import main
from flask_app.drift import job
from flask_app.drift.findings import FINDINGS
from flask_app.drift.metrics import RESULT_METRICS, RESULTS, RUN, RUN_METRICS
from flask_app.drift.performance import PERFORMANCE_METRICS, estimated
from flask_app.drift.summary import Summary
from flask_app.errors import JobError
from flask_app.log.lines import LoggedPrediction
from flask_app.model.bundle import DRIFT_CALIBRATION, REFERENCE, Bundle
from flask_app.record import FEATURES
from flask_app.reference.distance import normed_wasserstein
from flask_app.settings import PREFIX, Settings
from flask_app.store.bundle import MANIFEST
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle
from tests.limits import largest_file
from tests.traffic import NOW, LogReader, label, prediction, prediction_id, write, write_labels

HALF_AN_HOUR = 1800.0
Series = tuple[str, tuple[tuple[str, str], ...]]


def fake_comparison(
    reference: NDArray[np.float64], window: NDArray[np.float64], thresholds: dict[str, float]
) -> tuple[dict[str, float], bytes]:
    """Measure as Evidently does, without the seconds that its import takes."""
    columns = zip(thresholds, reference.T, window.T, strict=True)
    return {name: normed_wasserstein(one, other) for name, one, other in columns}, b"<p>drawn</p>"


class Site:
    """A host's directories, with a model in production."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = Settings(
            model_store=str(directory / "models"),
            log_dir=directory / "predictions",
            drift_reports_dir=directory / "reports",
            drift_textfile_dir=directory / "textfile",
        )
        self.now = NOW
        self.store = DirectoryStore(directory / "models", Bundle)
        self._monkeypatch = monkeypatch
        self._bundles = directory / "bundles"
        self._bundles.mkdir()
        monkeypatch.setattr(job, "compare", fake_comparison)
        monkeypatch.setattr("time.time", lambda: self.now)

    def promote(self, seed: int = 0) -> Bundle:
        """Put a model into production; returns its bundle in the store."""
        bundle = make_bundle(self._bundles, seed=seed)
        version = self.store.publish(bundle)
        self.store.promote(version)
        shutil.rmtree(bundle)
        return Bundle.open(self.store.fetch(version))

    def traffic(self, bundle: Bundle, count: int = 400, **shifted: float) -> list[str]:
        """Log predictions like the training data up to now, some of their features multiplied."""
        reference = pd.read_parquet(bundle.directory / REFERENCE).sample(
            count, replace=True, random_state=0
        )
        values = reference[list(FEATURES)].mul(pd.Series(dict.fromkeys(FEATURES, 1.0) | shifted))
        times = [self.now - 60 - number for number in range(count)][::-1]
        write(
            self.settings.log_dir,
            [
                prediction(
                    made_at,
                    number,
                    model_version=bundle.manifest.version,
                    auction_id=str(number // 8),
                    probability=probability,
                    prediction=int(probability >= bundle.manifest.threshold.value),
                    **row,
                )
                for number, (made_at, row, probability) in enumerate(
                    zip(
                        times,
                        values.clip(0).to_dict("records"),
                        reference["probability"],
                        strict=True,
                    )
                )
            ],
            at=times[0],
        )
        return [prediction_id(made_at, number) for number, made_at in enumerate(times)]

    def run(self, **settings: Any) -> int:
        """Run the job as from the command line, half an hour later."""
        self.now += HALF_AN_HOUR
        for item in fields(Settings):
            value = getattr(replace(self.settings, **settings), item.name)
            self._monkeypatch.setenv(PREFIX + item.name.upper(), str(value))
        return main(["drift"])

    def metrics(self, name: str = RESULTS) -> dict[Series, float]:
        text = (self.settings.drift_textfile_dir / name).read_text()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float | None:
        path = RUN if name in RUN_METRICS else RESULTS
        return self.metrics(path).get((name, tuple(sorted(labels.items()))))

    def results(self) -> bytes:
        return (self.settings.drift_textfile_dir / RESULTS).read_bytes()

    def reports(self) -> list[str]:
        """The names of the reports, hidden files included."""
        names = {path.name for path in self.settings.drift_reports_dir.iterdir()}
        return sorted(names - {".lock", "index.html"})

    def summary(self) -> Summary:
        """What the report that the metrics name says."""
        ((_, labels),) = [key for key in self.metrics() if key[0] == "shill_drift_report_info"]
        path = self.settings.drift_reports_dir / dict(labels)["report"] / "summary.json"
        return msgspec.json.decode(path.read_bytes(), type=Summary)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


DRIFT = {"bidding_ratio": 0.5}


def test_without_drift_every_metric_is_there_and_right(site: Site) -> None:
    bundle = site.promote()
    ids = site.traffic(bundle)
    write_labels(site.settings.log_dir, [label(ids[0], True, site.now)])
    last_prediction = site.now - 60
    assert site.run() == 0
    metrics = site.metrics() | site.metrics(RUN)
    assert {name for name, _ in metrics} == {*RESULT_METRICS, *RUN_METRICS}
    score = site.metric("shill_data_drift_score")
    assert score is not None
    assert 0 < score < 0.5
    assert site.metric("shill_drifted_features") == 0
    assert site.metric("shill_drift_alarm_streak") == 0
    ratios = []
    for feature in FEATURES:
        distance = metrics["shill_feature_drift_distance", (("feature", feature),)]
        threshold = metrics["shill_feature_drift_threshold", (("feature", feature),)]
        ratios.append(distance / (distance + threshold))
        assert site.metric("shill_feature_drift_alarm_streak", feature=feature) == 0
    assert max(ratios) == pytest.approx(score)
    findings = {
        finding: site.metric("shill_drift_window_findings", finding=finding) for finding in FINDINGS
    }
    assert findings == dict.fromkeys(FINDINGS, 0)
    assert site.metric("shill_drift_window_rows") == 400
    assert site.metric("shill_drift_window_end_timestamp_seconds") == last_prediction
    assert site.metric("shill_drift_window_start_timestamp_seconds") == last_prediction - 399
    assert site.metric("shill_drift_model_info", version=bundle.manifest.version) == 1
    assert site.metric("shill_drift_last_success_timestamp_seconds") == site.now
    assert site.metric("shill_drift_last_score_timestamp_seconds") == site.now
    assert site.metric("shill_drift_last_run_timestamp_seconds") == site.now
    assert site.metric("shill_drift_last_exit_code") == 0


def test_drift_is_found_in_the_feature_that_has_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.traffic(site.promote(), **DRIFT)
    assert site.run() == 3
    score = site.metric("shill_data_drift_score")
    assert score is not None
    assert score > 0.5
    assert site.metric("shill_drifted_features") == 1
    assert site.metric("shill_feature_drift_alarm_streak", feature="bidding_ratio") == 1
    assert site.metric("shill_feature_drift_alarm_streak", feature="early_bidding") == 0
    assert "drift of bidding_ratio" in capsys.readouterr().out


def test_streaks_grow_by_a_run_and_end_with_the_drift(site: Site) -> None:
    bundle = site.promote()
    streaks = []
    for shifted in (DRIFT, DRIFT, {}, DRIFT):
        site.traffic(bundle, **shifted)
        site.run(drift_window_rows=400)
        streaks.append(
            (
                site.metric("shill_drift_alarm_streak"),
                site.metric("shill_feature_drift_alarm_streak", feature="bidding_ratio"),
            )
        )
    assert streaks == [(1, 1), (2, 2), (0, 0), (1, 1)]


def test_too_few_rows_score_nothing_and_leave_the_streaks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.traffic(site.promote(), **DRIFT)
    site.run()
    scored_at = site.now
    monkeypatch.setattr(job, "compare", None)
    assert site.run(drift_window_hours=0.1) == 4
    names = {name for name, _ in site.metrics()}
    absent = {
        "shill_data_drift_score",
        "shill_drifted_features",
        "shill_feature_drift_distance",
        "shill_feature_drift_threshold",
        "shill_label_delay_seconds",
        "shill_model_performance_score",
        "shill_drift_window_start_timestamp_seconds",
        "shill_drift_window_end_timestamp_seconds",
    }
    assert names == RESULT_METRICS.keys() - absent
    assert site.metric("shill_drift_alarm_streak") == 1
    assert site.metric("shill_drift_window_findings", finding="too_few_rows") == 200
    assert site.metric("shill_drift_last_success_timestamp_seconds") == site.now
    assert site.metric("shill_drift_last_score_timestamp_seconds") == scored_at
    assert site.metric("shill_drift_last_exit_code") == 4
    report = site.settings.drift_reports_dir / site.summary().report / "report.html"
    assert "200 usable predictions that were lacking" in report.read_text()


def test_before_the_first_traffic_there_is_no_score_and_no_failure(site: Site) -> None:
    site.promote()
    assert site.run() == 4
    assert site.metric("shill_drift_window_rows") == 0
    assert site.metric("shill_drift_last_score_timestamp_seconds") is None


def test_a_model_change_starts_a_new_window_and_new_streaks(site: Site) -> None:
    site.traffic(site.promote(seed=0), **DRIFT)
    site.run()
    second = site.promote(seed=1)
    assert site.run() == 4
    assert site.metric("shill_drift_window_rows") == 0
    assert site.metric("shill_drift_alarm_streak") == 0
    assert site.metric("shill_feature_drift_alarm_streak", feature="bidding_ratio") == 0
    site.traffic(second, **DRIFT)
    assert site.run() == 3
    assert site.metric("shill_drift_window_rows") == 400
    assert site.metric("shill_drift_alarm_streak") == 1
    assert site.metric("shill_drift_model_info", version=second.manifest.version) == 1


def test_performance_is_estimated_until_labels_come(site: Site) -> None:
    bundle = site.promote()
    site.traffic(bundle)
    lines = list(LogReader(site.settings.log_dir, LoggedPrediction))
    site.run()
    probabilities = np.array([line.probability for line in lines])
    expected = estimated(probabilities, bundle.manifest.threshold.value)
    score = "shill_model_performance_score"
    for metric in PERFORMANCE_METRICS:
        value = site.metric(score, source="estimated", metric=metric)
        assert value == pytest.approx(getattr(expected, metric))
        assert site.metric(score, source="labelled", metric=metric) is None
    assert site.metric("shill_label_coverage_ratio") == 0

    labels = [(line.prediction == 1) ^ (number < 25) for number, line in enumerate(lines[:100])]
    write_labels(
        site.settings.log_dir,
        [
            label(line.prediction_id, is_shill, site.now)
            for line, is_shill in zip(lines, labels, strict=False)
        ],
    )
    site.run()
    assert site.metric(score, source="labelled", metric="accuracy") == 0.75
    assert site.metric("shill_label_coverage_ratio") == 0.25
    assert site.metric("shill_labelled_rows") == 100
    baseline = bundle.manifest.metrics.recall
    assert site.metric("shill_model_performance_baseline", metric="recall") == baseline


def test_one_absurd_outlier_makes_no_alarm_and_hides_none(site: Site) -> None:
    bundle = site.promote()
    for shifted, status in (({}, 0), (DRIFT, 3)):
        site.traffic(bundle, **shifted)
        absurd = prediction(
            site.now,
            model_version=bundle.manifest.version,
            bidding_ratio=0.5,
            auction_duration=366,
        )
        write(site.settings.log_dir, [absurd])
        assert site.run(drift_window_rows=401) == status
        assert site.metric("shill_drift_window_findings", finding="outliers") == 1


def test_a_column_of_one_value_is_a_finding_and_scored(site: Site) -> None:
    site.traffic(site.promote(), early_bidding=0)
    assert site.run() == 3
    assert site.metric("shill_drift_window_findings", finding="constant_column") == 1
    assert site.summary().drift.drifted == ("early_bidding",)  # type: ignore[union-attr]


def test_more_rows_than_can_be_scored_are_sampled_and_that_is_said(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.traffic(site.promote(), count=800)
    assert site.run(drift_sample_rows=400) == 0
    sampled = site.metric("shill_drift_window_findings", finding="sampled")
    assert sampled == site.metric("shill_drift_window_findings", finding="unscored_rows") == 400
    assert site.metric("shill_drift_window_rows") == 800
    assert "400 predictions left out because whole auctions were drawn" in capsys.readouterr().out


def break_calibration(bundle: Bundle) -> None:
    (bundle.directory / DRIFT_CALIBRATION).unlink()


def break_reference(bundle: Bundle) -> None:
    (bundle.directory / REFERENCE).unlink()


def corrupt_reference(bundle: Bundle) -> None:
    path = bundle.directory / REFERENCE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def corrupt_manifest(bundle: Bundle) -> None:
    path = bundle.directory / MANIFEST
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"}", b" }", 1))


def lose_model(bundle: Bundle) -> None:
    shutil.rmtree(bundle.directory)


def lose_pointer(bundle: Bundle) -> None:
    (bundle.directory.parent / "production.json").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_calibration, f"{DRIFT_CALIBRATION} cannot be read"),
        (break_reference, f"{REFERENCE} cannot be read"),
        (corrupt_reference, "expected"),
        (corrupt_manifest, "expected"),
        (lose_model, "holds no version"),
        (lose_pointer, "no version is in production"),
    ],
)
def test_a_damaged_model_changes_no_result_and_is_told(
    site: Site,
    damage: Callable[[Bundle], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = site.promote()
    site.traffic(bundle)
    assert site.run() == 0
    results, reports = site.results(), site.reports()
    damage(bundle)
    assert site.run() == 1
    assert message in capsys.readouterr().err
    assert site.results() == results
    assert site.reports() == reports
    assert site.metric("shill_drift_last_exit_code") == 1
    assert site.metric("shill_drift_last_run_timestamp_seconds") == site.now
    assert site.metric("shill_drift_last_success_timestamp_seconds") == site.now - HALF_AN_HOUR


def test_a_bundle_from_before_calibration_is_refused(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = site.promote()
    path = bundle.directory / MANIFEST
    manifest = bundle.manifest
    kept = {name: sum_ for name, sum_ in manifest.files.items() if name != DRIFT_CALIBRATION}
    older = msgspec.structs.replace(manifest, files=kept)
    older = msgspec.structs.replace(older, version=older.content_version())
    path.chmod(0o644)
    path.write_bytes(msgspec.json.encode(older))
    bundle.directory.rename(bundle.directory.with_name(older.version))
    site.store.promote(older.version)
    assert site.run() == 1
    assert f"does not list {DRIFT_CALIBRATION}: train anew" in capsys.readouterr().err
    assert not (site.settings.drift_textfile_dir / RESULTS).exists()
    assert site.metric("shill_drift_last_exit_code") == 1


def test_a_log_that_cannot_be_read_is_an_error_and_no_silence(site: Site) -> None:
    site.promote()
    site.settings.log_dir.touch()
    assert site.run() == 1
    assert not (site.settings.drift_textfile_dir / RESULTS).exists()


def test_settings_that_could_never_score_are_refused(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.promote()
    assert site.run(drift_window_rows=100) == 1
    assert "SHILL_DRIFT_MINIMUM_ROWS=200 is above SHILL_DRIFT_WINDOW_ROWS=100" in (
        capsys.readouterr().err
    )


def test_an_unexpected_fault_is_told_and_changes_no_result(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.traffic(site.promote())
    site.run()
    results = site.results()

    def fail(*_: object) -> None:
        raise RuntimeError("out of the blue")

    monkeypatch.setattr(job, "compare", fail)
    assert site.run() == 70
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "out of the blue" in error
    assert site.results() == results
    assert site.metric("shill_drift_last_exit_code") == 70


def test_a_second_run_at_once_leaves_everything_to_the_first(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.traffic(site.promote())
    site.run()
    results = site.results()
    with files.locked(site.settings.drift_reports_dir):
        assert site.run() == 5
    assert "another run holds" in capsys.readouterr().err
    assert site.results() == results
    assert site.metric("shill_drift_last_exit_code") == 5
    assert site.run() == 0


def test_a_clock_that_went_back_between_runs_confuses_neither_streaks_nor_reports(
    site: Site,
) -> None:
    bundle = site.promote()
    site.now += 5 * HALF_AN_HOUR  # wrongly ahead
    site.traffic(bundle, **DRIFT)
    site.run()
    site.now = NOW
    for streak in (1, 2, 3, 4, 5):
        if streak > 1:
            site.traffic(bundle, **DRIFT)
            assert site.run(drift_window_rows=400) == 3
        assert site.metric("shill_drift_alarm_streak") == streak
    assert site.run() in {3, 4}
    # The sixth run had the same second as the first.
    assert len(site.reports()) == 6
    assert site.summary().run == 6
    assert site.run(drift_reports_kept=2) == 3
    assert len(site.reports()) == 2
    assert site.summary().run == 7


def test_rows_from_the_future_are_found_and_not_scored(site: Site) -> None:
    bundle = site.promote()
    site.now += 86_400.0
    site.traffic(bundle, **DRIFT)
    site.now -= 86_400.0
    site.traffic(bundle)
    assert site.run() == 0
    assert site.metric("shill_drift_window_rows") == 400
    assert site.metric("shill_drift_window_findings", finding="future_timestamps") == 400


def test_on_a_full_disk_the_old_results_stay_and_only_their_age_tells(site: Site) -> None:
    site.traffic(site.promote())
    site.run()
    results, run, reports = site.results(), site.metrics(RUN), site.reports()
    with largest_file(10):
        with pytest.raises(JobError, match="cannot be written"):
            job.run(site.settings, site.now)
        with pytest.raises(JobError, match="cannot be written"):
            job.record(site.settings, job.DriftExit.FAILED, site.now, 1.0)
    assert site.results() == results
    assert site.metrics(RUN) == run
    assert site.reports() == reports
    textfiles = {path.name for path in site.settings.drift_textfile_dir.iterdir()}
    assert textfiles == {RESULTS, RUN}
    assert site.run() == 0


def test_what_a_killed_run_left_is_cleaned_by_the_next(site: Site) -> None:
    site.traffic(site.promote())
    reports, textfiles = site.settings.drift_reports_dir, site.settings.drift_textfile_dir
    (reports / ".draft-20261124T063000Z-7").mkdir(parents=True)
    (reports / ".draft-20261124T063000Z-7/summary.json").write_text("{")
    textfiles.mkdir()
    (textfiles / f".draft-{RESULTS}-7").write_text("half")
    (textfiles / ".draft-shill_archive.prom-7").write_text("what ship is just writing")
    assert site.run() == 0
    assert site.reports() == [site.summary().report]
    left = {path.name for path in textfiles.iterdir()}
    assert left == {RESULTS, RUN, ".draft-shill_archive.prom-7"}, "another job's draft stays"


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff"])
def test_a_summary_that_cannot_be_read_is_passed_over(site: Site, content: bytes) -> None:
    bundle = site.promote()
    for _ in range(2):
        site.traffic(bundle, **DRIFT)
        site.run(drift_window_rows=400)
    damaged = site.settings.drift_reports_dir / site.summary().report
    (damaged / "summary.json").write_bytes(content)
    site.traffic(bundle, **DRIFT)
    assert site.run(drift_window_rows=400, drift_reports_kept=2) == 3
    assert site.metric("shill_drift_alarm_streak") == 2
    assert damaged.name not in site.reports()


def test_the_index_shows_the_latest_run_first_and_leads_to_each_report(site: Site) -> None:
    bundle = site.promote()
    for shifted in ({}, DRIFT):
        site.traffic(bundle, **shifted)
        site.run(drift_window_rows=400)
    index = (site.settings.drift_reports_dir / "index.html").read_text()
    links = re.findall(r"href='([^']+)'", index)
    names = site.reports()[::-1]
    assert links == [f"{name}/{page}" for name in names for page in ("report.html", "summary.json")]
    for link in links:
        assert (site.settings.drift_reports_dir / link).is_file()
    assert "drift of bidding_ratio" in index
    assert re.search(r"<li>bidding_ratio: 0\.\d{3} / 0\.\d{3}</li>", index)
    assert bundle.manifest.version in index
    assert not re.search(r"(src|href)=['\"]?(https?:)?//", index)
