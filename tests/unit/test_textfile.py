"""Metrics as Prometheus reads them from a file."""

from prometheus_client.parser import text_string_to_metric_families

from flask_app.drift.metrics import RESULT_METRICS
from flask_app.textfile import Sample, render


def test_prometheus_reads_back_what_is_written() -> None:
    samples = [
        Sample("shill_data_drift_score", 0.1 + 0.2),
        Sample("shill_drift_window_findings", 1, {"finding": 'a "quoted" \\ name\n'}),
        Sample("shill_drift_window_findings", 0, {"finding": "torn_lines"}),
        Sample("shill_drift_last_success_timestamp_seconds", 1795500000.123),
    ]
    families = list(text_string_to_metric_families(render(samples, RESULT_METRICS).decode()))
    read = [
        Sample(sample.name, sample.value, sample.labels)
        for family in families
        for sample in family.samples
    ]
    assert read == samples
    assert {family.type for family in families} == {"gauge"}
    assert families[0].documentation == RESULT_METRICS[samples[0].name]


def test_what_is_undefined_is_absent() -> None:
    samples = [
        Sample("shill_data_drift_score", None),
        Sample("shill_model_performance_score", None, {"metric": "precision"}),
        Sample("shill_model_performance_score", 0.5, {"metric": "recall"}),
    ]
    text = render(samples, RESULT_METRICS).decode()
    assert "shill_data_drift_score" not in text
    assert "precision" not in text
    assert 'shill_model_performance_score{metric="recall"} 0.5\n' in text
