"""What happens to a running monitoring when its options change, for better or worse."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from testinfra.host import Host

Api = Callable[[str], Any]
Converge = Callable[..., CompletedProcess[str]]
Eventually = Callable[[Callable[[], bool]], None]
Metric = Callable[[str], str]
Targets = Callable[[str], set[str]]

ROOT = Path(__file__).resolve().parents[3]
STARTED = "process_start_time_seconds"
RELOADED = "prometheus_config_last_reload_success_timestamp_seconds"

RECEIVER = """
import http.server, json
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open("/tmp/received", "a") as file:
            for alert in body["alerts"]:
                heard = {"status": alert["status"], "name": alert["labels"]["alertname"],
                         "instance": alert["labels"].get("instance"),
                         "authorization": self.headers["Authorization"]}
                file.write(json.dumps(heard) + "\\n")
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9999), Receiver).serve_forever()
"""

RULE = """
groups:
  - name: test
    rules:
      - alert: Gone
        expr: up{job="model_server"} == 0
        labels:
          severity: page
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of the repository and one more."""
    copied = shutil.copytree(
        ROOT / "prometheus/rules", tmp_path_factory.mktemp("prometheus") / "rules"
    )
    (copied / "test.yml").write_text(RULE)
    return copied


@pytest.fixture
def received(host: Host) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """A real receiver of webhooks; call it for what it has heard."""
    host.check_output("rm --force /tmp/received && touch /tmp/received")
    host.check_output("printf %%s %s >/tmp/receiver.py", RECEIVER)
    host.check_output("systemd-run --quiet --collect --unit=receiver python3 /tmp/receiver.py")

    def heard() -> list[dict[str, Any]]:
        return [json.loads(line) for line in host.file("/tmp/received").content_string.splitlines()]  # noqa: S108

    yield heard
    host.check_output("systemctl stop receiver")


def test_a_configuration_that_promtool_refuses_leaves_the_old_one_serving(
    host: Host, targets: Targets, metric: Metric, converge: Converge
) -> None:
    before = host.file("/etc/prometheus/prometheus.yml").content, metric(STARTED)

    done = converge(prometheus_extra_scrape_configs=[{"job_name": "x", "scrape_interval": "soon"}])

    assert done.returncode != 0
    assert 'not a valid duration string: "soon"' in done.stdout
    assert (host.file("/etc/prometheus/prometheus.yml").content, metric(STARTED)) == before
    assert targets("node") == {host.check_output("hostname")}


def test_a_changed_rule_comes_into_force_by_reload_and_its_alert_reaches_the_receiver(
    host: Host,
    api: Api,
    metric: Metric,
    converge: Converge,
    eventually: Eventually,
    model_server: Callable[[str], None],
    received: Callable[[], list[dict[str, Any]]],
    rules: Path,
) -> None:
    before = metric(STARTED), metric(RELOADED)

    done = converge(prometheus_rules=str(rules))

    assert done.returncode == 0, done.stdout
    eventually(lambda: metric(RELOADED) != before[1])
    assert metric(STARTED) == before[0]
    assert "test" in {group["name"] for group in api("rules")["groups"]}

    def gone() -> list[str]:
        return [alert["status"] for alert in received() if alert["name"] == "Gone"]

    assert gone() == []
    model_server("stop")
    eventually(lambda: gone()[-1:] == ["firing"])
    model_server("start")
    eventually(lambda: gone()[-1:] == ["resolved"])

    heard = [alert for alert in received() if alert["name"] == "Gone"]
    assert {alert["instance"] for alert in heard} == {host.check_output("hostname")}
    assert {alert["authorization"] for alert in heard} == {"Bearer battery-staple"}


def test_a_rule_that_is_no_more_goes(
    metric: Metric, api: Api, converge: Converge, eventually: Eventually
) -> None:
    before = metric(STARTED)

    done = converge()

    assert done.returncode == 0, done.stdout
    eventually(lambda: "test" not in {group["name"] for group in api("rules")["groups"]})
    assert metric(STARTED) == before


def test_a_rule_that_promtool_refuses_is_named(
    host: Host, converge: Converge, tmp_path: Path
) -> None:
    rules = shutil.copytree(ROOT / "prometheus/rules", tmp_path / "rules")
    (rules / "test.yml").write_text(RULE.replace("== 0", "== nothing("))

    done = converge(prometheus_rules=str(rules))

    assert done.returncode != 0
    assert "parse error" in done.stdout
    assert not host.file("/etc/prometheus/rules/test.yml").exists
