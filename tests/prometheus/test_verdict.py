"""The first word of *Model monitoring* is right, whatever the drift job has been through."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from grafana_provisioning.dashboards.model import VERDICT, WORDS

NOW = 4 * 3600  # s after the beginning of the series

# A host on which all is well: the last run was 10 minutes ago.
WELL = {
    'up{job="model_server"}': 1,
    'shill_model_info{version="a"}': 1,
    'shill_drift_model_info{version="a"}': 1,
    "shill_drift_last_score_timestamp_seconds": NOW - 600,
    "shill_drift_alarm_streak": 0,
    "shill_labelled_rows": 1000,
    'shill_model_performance_baseline{metric="f1"}': 0.98,
    'shill_model_performance_score{source="estimated", metric="f1"}': 0.97,
    'shill_model_performance_score{source="labelled", metric="f1"}': 0.96,
}
ESTIMATED, LABELLED = list(WELL)[-2:]
SCORED = "shill_drift_last_score_timestamp_seconds"
STREAK = "shill_drift_alarm_streak"
ROWS = "shill_labelled_rows"

Series = dict[str, float | None]

CASES: dict[str, tuple[Series, str]] = {
    "all is well": ({}, "Trusted"),
    "the newest run found drift": ({STREAK: 1}, "Drift suspected"),
    "two runs found drift": ({STREAK: 2}, "Drift"),
    "many runs found drift": ({STREAK: 40}, "Drift"),
    "labels show that F1 fell": ({LABELLED: 0.92}, "Performance low"),
    "F1 is estimated to have fallen": ({ESTIMATED: 0.92}, "Performance low"),
    "F1 fell and drift was found": ({ESTIMATED: 0.92, STREAK: 3}, "Performance low"),
    "a few labels prove nothing": ({LABELLED: 0.5, ROWS: 99}, "Trusted"),
    "there are no labels": ({LABELLED: None, ROWS: 0}, "Trusted"),
    "the last score is too old": ({SCORED: NOW - 5701, STREAK: 3}, "Unknown: stale"),
    "the last score was bad, and is old": ({SCORED: NOW - 9000, LABELLED: 0.5}, "Unknown: stale"),
    "a clock jumped ahead": ({SCORED: NOW + 6000}, "Unknown: stale"),
    "the job scored another model": (
        {'shill_drift_model_info{version="a"}': None, 'shill_drift_model_info{version="b"}': 1},
        "Unknown: stale",
    ),
    "nothing was ever scored": (dict.fromkeys(list(WELL)[2:]), "Unknown: stale"),
    "the server is down": ({'up{job="model_server"}': 0}, "Trusted"),
}


def on(host: str, series: Series) -> list[dict[str, str]]:
    """A host's series as promtool wants them: the same value for four hours."""
    shown = {}
    for name, value in series.items():
        if value is not None:
            bare, _, labels = name.removesuffix("}").partition("{")
            inside = ", ".join(filter(None, [f'instance="{host}"', labels]))
            shown[f"{bare}{{{inside}}}"] = value
    return [{"series": name, "values": f"{value}x240"} for name, value in shown.items()]


def verdict(series: list[dict[str, str]], tmp_path: Path, promtool: str, word: str) -> str:
    """What promtool says where the verdict is not that word."""
    (entry,) = WORDS
    numbers = {result.text: float(number) for number, result in entry.options.items()}
    expression = VERDICT.replace("$instance", ".+")
    sample = {"labels": "{}", "value": numbers[word]}
    check = {"expr": expression, "eval_time": f"{NOW}s", "exp_samples": [sample]}
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [check]}
    path = tmp_path / "verdict.yml"
    path.write_text(yaml.safe_dump({"tests": [test]}))
    done = subprocess.run(
        [promtool, "test", "rules", path], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(("changes", "word"), CASES.values(), ids=CASES.keys())
def test_the_verdict_is_right_when(
    changes: Series, word: str, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    series = on("one", {**WELL, **changes})
    assert verdict(series, tmp_path, tool("promtool"), word) == ""


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({STREAK: 2}, "Drift"),
        ({SCORED: 0.0}, "Unknown: stale"),
        ({SCORED: NOW - 5701, ESTIMATED: 0.9}, "Unknown: stale"),
    ],
)
def test_of_several_hosts_the_worst_counts(
    changes: Series, word: str, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    series = on("one", dict(WELL)) + on("two", {**WELL, **changes})
    assert verdict(series, tmp_path, tool("promtool"), word) == ""
