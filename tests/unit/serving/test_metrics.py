"""Metrics add up over worker slots, keep what a dead worker counted, and are all documented."""

import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, values

from flask_app.model.bundle import Bundle
from flask_app.serving.metrics import (
    PROBABILITIES,
    BatchHistogram,
    ServiceMetrics,
    free_slot,
    take_slot,
)
from flask_app.store.directory_store import DirectoryStore

ROOT = Path(__file__).parents[3]


def samples(histogram: BatchHistogram) -> dict[tuple[str, str | None], float]:
    (family,) = histogram.collect()
    return {
        (sample.name, sample.labels.get("le")): sample.value
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_a_slot_is_the_lowest_that_no_living_worker_has() -> None:
    assert free_slot([]) == 0
    assert free_slot([0, 1]) == 2
    assert free_slot([3, 1, 0]) == 2


@pytest.mark.parametrize("amounts", [[0.3], [0.0, 0.01, 0.0100001, 0.5, 0.99, 1.0, 1.0]])
def test_a_batch_is_observed_like_each_of_its_amounts(amounts: list[float]) -> None:
    registry = CollectorRegistry()
    one = BatchHistogram("one", "", buckets=PROBABILITIES, registry=registry)
    many = BatchHistogram("many", "", buckets=PROBABILITIES, registry=registry)
    for amount in amounts:
        one.observe(amount)
    many.observe_many(np.array(amounts))
    expected = {(name.replace("one", "many"), le): v for (name, le), v in samples(one).items()}
    assert samples(many) == pytest.approx(expected)
    assert samples(many)["many_count", None] == len(amounts)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to share metrics through; afterwards metrics are this process's own again."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


def worker(directory: Path, slot: int) -> ServiceMetrics:
    """The metrics of a worker that has just started in `slot`."""
    take_slot(slot, directory)
    return ServiceMetrics(directory)


def test_slots_add_up_and_a_successor_counts_on(directory: Path) -> None:
    for slot, lines in ((0, 3), (1, 4), (0, 5)):
        metrics = worker(directory, slot)
        metrics.log_dropped.inc(lines)
        metrics.observe_requests("/predict", "POST", 200, [0.001])
    files = sorted(path.name for path in directory.iterdir())
    assert files == ["counter_0.db", "counter_1.db", "histogram_0.db", "histogram_1.db"]
    (directory / "counter_2.db").touch()  # of a worker that is just starting
    registry = metrics.registry
    assert registry.get_sample_value("shill_prediction_log_dropped_total") == 12
    labels = {"route": "/predict", "method": "POST", "status": "200"}
    assert registry.get_sample_value("shill_http_request_duration_seconds_count", labels) == 3


def test_what_alerts_count_is_there_from_the_start() -> None:
    registry = ServiceMetrics().registry
    value = registry.get_sample_value("shill_model_load_failures_total", {"reason": "checksum"})
    assert value == 0
    value = registry.get_sample_value("shill_prediction_errors_total", {"reason": "out-of-range"})
    assert value == 0
    failed = {"route": "/predict", "method": "POST", "status": "500"}
    assert registry.get_sample_value("shill_http_request_duration_seconds_count", failed) == 0


def test_every_metric_is_documented_and_nothing_else(
    published: DirectoryStore, profiles: DirectoryStore
) -> None:
    metrics = ServiceMetrics()
    metrics.use_profiles(profiles.manifest(*profiles.versions()))
    manifest = Bundle.open(published.fetch(published.versions()[0])).manifest
    metrics.use_model(manifest, datetime.now(UTC))
    metrics.use_keys([], unreadable=False)
    exposed = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics.registry.collect()
    }
    page = (ROOT / "docs" / "metrics.md").read_text()
    service = page.partition("## The service")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(shill_\w+)`", service, flags=re.MULTILINE)) == exposed
