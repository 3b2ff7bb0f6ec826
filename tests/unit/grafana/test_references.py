"""What dashboards name exists, and they judge by the numbers that alerts judge by."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from grafana_provisioning import names
from grafana_provisioning.queries import SCRAPE_SECONDS, dashboards, panels

ROOT = Path(__file__).parents[3]

# What node exporter 1.5 and later, the Docker engine and Prometheus itself expose.
EXPORTERS = {
    "up",
    "engine_daemon_container_states_containers",
    "node_cpu_seconds_total",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemTotal_bytes",
    "node_network_receive_bytes_total",
    "node_network_transmit_bytes_total",
    "node_textfile_mtime_seconds",
    "node_textfile_scrape_error",
}
METRIC = re.compile(r"\b[a-z][a-zA-Z0-9_:]*(?=[{\[])")


def expressions(dashboard: dict[str, Any]) -> list[str]:
    """All of a dashboard's queries, those of its annotations included."""
    asked = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    return asked + [annotation["expr"] for annotation in dashboard["annotations"]["list"]]


def rules() -> str:
    """All recording and alert rules."""
    return "\n".join(path.read_text() for path in ROOT.glob("prometheus/rules/*.yml"))


def documented() -> set[str]:
    """Metrics that docs/metrics.md has, and what the recording rules make of them."""
    page = (ROOT / "docs/metrics.md").read_text()
    metrics = set(re.findall(r"^\| `(shill_\w+)`", page, flags=re.MULTILINE))
    return metrics | set(re.findall(r"record: (\S+)", rules()))


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
class TestDashboard:
    def test_it_asks_only_for_metrics_that_are_documented(self, dashboard: dict[str, Any]) -> None:
        asked = {name for text in expressions(dashboard) for name in METRIC.findall(text)}
        series = {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked}
        assert series
        assert series - documented() - EXPORTERS == set()

    def test_its_runbooks_exist(self, dashboard: dict[str, Any]) -> None:
        named = set(re.findall(r"docs/runbooks/\w+\.md", json.dumps(dashboard)))
        assert named
        assert {name for name in named if not (ROOT / name).is_file()} == set()


@pytest.mark.parametrize(
    "judgement",
    [
        f"shill_drift_last_success_timestamp_seconds > {names.STALE_SECONDS // 60} * 60",
        f"shill_archive_last_run_timestamp_seconds > {names.UNSHIPPED_SECONDS // 60} * 60",
        f"< ignoring (source) shill_model_performance_baseline - {names.F1_TOLERANCE}",
        f"shill_labelled_rows >= {names.MINIMUM_LABELS}",
        f"failed:ratio_rate1h > {names.FAST_BURN} * {1 - names.AVAILABILITY:.3f}",
        f"failed:ratio_rate6h > {names.SLOW_BURN:g} * {1 - names.AVAILABILITY:.3f}",
        f"slow:ratio_rate1h > {names.FAST_BURN} * {1 - names.IN_TIME:.2f}",
        f'le="{names.IN_TIME_SECONDS}"',
    ],
)
def test_panels_and_alerts_judge_alike(judgement: str) -> None:
    assert judgement in rules()


def test_the_data_source_is_the_one_that_dashboards_and_previews_mean() -> None:
    datasource = (ROOT / "grafana_provisioning/datasources/prometheus.yml.j2").read_text()
    assert "uid: prometheus\n" in datasource
    assert f"timeInterval: {SCRAPE_SECONDS:.0f}s " in datasource
