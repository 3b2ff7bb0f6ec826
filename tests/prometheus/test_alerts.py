"""Every alert is tested, explained and resolvable; docs/alerts.md lists them all.

`python -m tests.prometheus.test_alerts` writes the page's table anew.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import tables

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/alerts.md"
RULES = sorted(ROOT.glob("prometheus/rules/*.yml"))
TESTS = sorted(ROOT.glob("prometheus/tests/*.yml"))

# What rules use of programs that are not ours.
EXPORTERS = {
    "alertmanager_config_last_reload_successful",
    "alertmanager_notifications_failed_total",
    "engine_daemon_container_states_containers",
    "node_filesystem_avail_bytes",
    "node_filesystem_readonly",
    "node_filesystem_size_bytes",
    "node_scrape_collector_success",
    "node_systemd_unit_state",
    "node_textfile_mtime_seconds",
    "node_textfile_scrape_error",
    "prometheus_config_last_reload_successful",
    "prometheus_notifications_dropped_total",
    "prometheus_rule_evaluation_failures_total",
    "up",
}
OWNERS = "alertmanager|engine|node|prometheus|shill"


def rules(kind: str) -> list[dict[str, Any]]:
    return [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if kind in rule
    ]


ALERTS = rules("alert")
NAMES = sorted({alert["alert"] for alert in ALERTS})


def runbook(alert: str) -> str:
    return (ROOT / f"docs/runbooks/{alert}.md").read_text()


def meaning(alert: str) -> str:
    """The first sentence of the runbook, without links."""
    text = runbook(alert).split("## Meaning\n\n")[1].split("\n\n")[0].replace("\n", " ")
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", re.split(r"(?<=[a-z)`]\.) (?=[A-Z`0])", text)[0])


def table() -> str:
    rows = ["| Alert | Severity | |", "|---|---|---|"]
    for name in NAMES:
        severities = sorted({a["labels"]["severity"] for a in ALERTS if a["alert"] == name})
        link = f"[{name}](runbooks/{name}.md)"
        rows.append(f"| {link} | {', '.join(severities)} | {meaning(name)} |")
    return "\n".join(rows) + "\n"


def silent(check: dict[str, Any]) -> bool:
    return "ALERTS{" in check["expr"] and not check.get("exp_samples")


def seconds(time: str) -> int:
    units = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([dhms])", time))


def test_the_rules_are_sound(tool: Callable[[str], str]) -> None:
    command = [tool("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *RULES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_the_rules_pass_their_tests(path: Path, tool: Callable[[str], str]) -> None:
    command = [tool("promtool"), "test", "rules", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda a: f"{a['alert']}-{a['labels']['severity']}")
class TestAlert:
    def test_it_says_how_urgent_it_is_and_what_is_the_matter(self, alert: dict[str, Any]) -> None:
        assert alert["labels"]["severity"] in {"page", "ticket", "none"}
        assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}

    def test_its_runbook_says_what_to_do(self, alert: dict[str, Any]) -> None:
        name = alert["alert"]
        assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
        text = runbook(name)
        headings = re.findall(r"^#+ (.+)$", re.sub(r"(?s)```.*?```", "", text), re.MULTILINE)
        assert headings == [name, "Meaning", "Impact", "Diagnosis", "Mitigation"]
        assert "```console\n# " in text.split("## Diagnosis")[1].split("## Mitigation")[0]

    def test_a_test_hears_silence_before_it_fires(self, alert: dict[str, Any]) -> None:
        name, severity = alert["alert"], alert["labels"]["severity"]
        if name == "Watchdog":
            return  # its silence would be the fault
        fired = [
            (test, check["eval_time"])
            for path in TESTS
            for test in yaml.safe_load(path.read_text())["tests"]
            for check in test.get("alert_rule_test", [])
            if check["alertname"] == name
            and severity in {a["exp_labels"]["severity"] for a in check["exp_alerts"]}
        ]
        assert fired
        for test, time in fired:
            before = [c for c in test["promql_expr_test"] if silent(c)]
            assert any(seconds(c["eval_time"]) < seconds(time) for c in before), test["name"]
            assert time in {c["eval_time"] for c in test["promql_expr_test"]}, test["name"]


def test_every_runbook_belongs_to_an_alert() -> None:
    assert sorted(path.stem for path in ROOT.glob("docs/runbooks/*.md")) == NAMES


def test_every_metric_that_a_rule_uses_is_explained() -> None:
    rows = (ROOT / "docs/metrics.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)`", rows, re.MULTILINE))
    expressions = " ".join(rule["expr"] for rule in ALERTS + rules("record"))
    used = set(re.findall(rf"(?<![\w:])(?:(?:{OWNERS})_\w+|up)\b", expressions))
    series = {re.sub(r"(?<=_seconds)_(bucket|count|sum)$", "", name) for name in used}
    assert len(series) > len(EXPORTERS)
    assert series - documented - EXPORTERS == set()


def test_the_page_lists_every_alert() -> None:
    assert tables.read(PAGE, "alerts") == table(), "run python -m tests.prometheus.test_alerts"


if __name__ == "__main__":
    tables.write(PAGE, "alerts", table())
