"""Alertmanager's configuration, rendered by the role's template: who is told of what, and when."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PAGING = {
    "prometheus_alertmanager_page": ["sns", "email", "webhook", "slack", "pagerduty"],
    "prometheus_alertmanager_ticket": ["email"],
    "prometheus_alertmanager_sns_topic_arn": "arn:aws:sns:eu-central-1:123456789012:pages",
    "prometheus_alertmanager_email_to": "ops@example.com",
    "prometheus_alertmanager_email_from": "shill@example.com",
    "prometheus_alertmanager_email_smarthost": "mail.example.com:587",
    "prometheus_alertmanager_email_username": "shill",
    "prometheus_alertmanager_email_password": "correct horse",
    "prometheus_alertmanager_webhook_url": "https://hook.example.com/",
    "prometheus_alertmanager_webhook_token": "battery staple",
    "prometheus_alertmanager_slack_url": "https://hooks.example.com/bay/leaf",
    "prometheus_alertmanager_slack_channel": "#shill",
    "prometheus_alertmanager_pagerduty_routing_key": "parsley",
    "prometheus_alertmanager_watchdog_url": "https://watch.example.com/",
    "prometheus_alertmanager_extra_receivers": [
        {"name": "fraud-team", "opsgenie_configs": [{"api_key_file": "/etc/prometheus/secrets/og"}]}
    ],
    "prometheus_alertmanager_extra_routes": [
        {"receiver": "fraud-team", "matchers": ['alertname = "DataDrift"'], "continue": True},
        {"receiver": "fraud-team", "matchers": ['alertname = "DriftJobStale"']},
    ],
    "prometheus_secrets": {"og": "rosemary"},
}
Amtool = Callable[..., str]


@pytest.fixture(scope="module")
def amtool(tool: Callable[[str], str]) -> Amtool:
    def run(*arguments: object) -> str:
        done = subprocess.run(
            [tool("amtool"), *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def paging(render: Callable[..., Path]) -> Path:
    return render(**PAGING)


def test_without_receivers_alerts_are_only_shown(
    render: Callable[..., Path], amtool: Amtool
) -> None:
    path = render()
    amtool("check-config", path)
    assert "_configs:" not in path.read_text()


def test_every_kind_of_receiver_is_understood(paging: Path, amtool: Amtool) -> None:
    assert "4 receivers" in amtool("check-config", paging)
    text = paging.read_text()
    for kind in PAGING["prometheus_alertmanager_page"]:
        assert f"{kind}_configs:" in text
    assert "region: eu-central-1" in text.replace('"', "")
    assert "severity: critical" in text


def test_no_secret_is_in_the_configuration(paging: Path) -> None:
    text = paging.read_text()
    for secret in ("correct horse", "battery staple", "bay/leaf", "parsley", "rosemary"):
        assert secret not in text
    for name in ("email_password", "webhook_token", "slack_url", "pagerduty_routing_key", "og"):
        assert f"/etc/prometheus/secrets/{name}" in text


@pytest.mark.parametrize(
    ("severity", "receiver"),
    [("page", "page"), ("ticket", "ticket"), ("none", "watchdog"), ("unheard-of", "ticket")],
)
def test_severity_decides_who_is_told(
    severity: str, receiver: str, paging: Path, amtool: Amtool
) -> None:
    routes = ["config", "routes", "test", f"--config.file={paging}"]
    labels = [f"severity={severity}", "alertname=Any", "instance=a"]
    amtool(*routes, f"--verify.receivers={receiver}", *labels)


def test_an_alert_without_severity_is_a_ticket(paging: Path, amtool: Amtool) -> None:
    routes = ["config", "routes", "test", f"--config.file={paging}"]
    amtool(*routes, "--verify.receivers=ticket", "alertname=Yours")


@pytest.mark.parametrize(
    ("alert", "receivers"),
    [
        ("DataDrift", "fraud-team,ticket"),
        ("DriftJobStale", "fraud-team"),
        ("TargetDown", "ticket"),
    ],
)
def test_further_routes_come_first(
    alert: str, receivers: str, paging: Path, amtool: Amtool
) -> None:
    routes = ["config", "routes", "test", f"--config.file={paging}"]
    amtool(*routes, f"--verify.receivers={receivers}", "severity=ticket", f"alertname={alert}")
