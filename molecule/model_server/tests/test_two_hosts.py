"""A fleet is deployed to host by host, by one run at a time.

After test_takeover.py, which leaves both hosts as they were provisioned.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import testinfra
from testinfra.host import Host

Ansible = Callable[..., CompletedProcess[str]]

LOCK = "/run/model-server-deploy.lock"


@pytest.fixture(scope="module")
def host() -> Host:
    """The first of the two, which has the lock."""
    return testinfra.get_host("docker://shill-model_server-trixie")


@pytest.fixture(scope="module")
def second() -> Host:
    return testinfra.get_host("docker://shill-model_server-bookworm")


@pytest.fixture
def keys(ansible: Ansible) -> Ansible:
    """Run the tasks of keys.yml on both hosts."""

    def run(**options: str) -> CompletedProcess[str]:
        return ansible(
            *("ansible", "all", "--become", "--module-name=include_role"),
            "--args=name=model_server tasks_from=keys",
            f"--extra-vars={json.dumps({'model_server_lock_host': 'trixie'} | options)}",
            hosts="trixie,bookworm",
        )

    return run


@pytest.fixture(scope="module")
def rollout(deploy: Ansible) -> Ansible:
    """Run the role on both hosts, one after the other as site.yml does."""
    return partial(deploy, hosts="trixie,bookworm", at_once=1)


def servers(host: Host) -> list[str]:
    return host.check_output(
        "docker ps --filter label=shill.service=model-server --format '{{.Names}}'"
    ).split()


def test_a_release_that_fails_on_the_first_host_never_reaches_the_second(
    host: Host, second: Host, rollout: Ansible
) -> None:
    before = servers(host), servers(second)
    log = second.file("/var/log/shill/deploy.log").content_string

    done = rollout(model_server_settings={"log_level": "loud"}, model_server_ready_seconds=10)

    assert done.returncode != 0
    assert "what served before goes on serving" in " ".join(done.stdout.split())
    assert (servers(host), servers(second)) == before
    assert second.file("/var/log/shill/deploy.log").content_string == log
    assert not host.file(LOCK).is_symlink


def test_the_lock_is_held_until_the_last_host_has_its_release(
    host: Host, second: Host, rollout: Ansible
) -> None:
    before = servers(host), servers(second)
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(rollout, model_server_settings={"log_level": "warning"})
        while len(servers(second)) < 2 and not running.done():
            time.sleep(0.2)
        held = host.file(LOCK).is_symlink, second.file(LOCK).is_symlink
    done = running.result()

    assert done.returncode == 0, done.stdout
    assert held == (True, False)
    assert not host.file(LOCK).is_symlink
    assert len(servers(host)) == len(servers(second)) == 1
    assert servers(host) != before[0]
    assert servers(second) != before[1]


PROMETHEUS = """
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        alerts = ["Older"] + ["LatencyBudgetBurn"] * (Handler.asked > 1)
        result = [{"metric": {"alertname": name}, "value": [0, "1"]} for name in alerts]
        body = json.dumps({"status": "success", "data": {"result": result}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", 9090), Handler).serve_forever()
"""


@pytest.fixture
def prometheus(host: Host) -> Iterator[None]:
    """What answers as Prometheus where an alert begins to fire with the first new release."""
    host.check_output(
        "systemd-run --quiet --collect --unit=prometheus-stand-in python3 -c %s", PROMETHEUS
    )
    yield
    host.check_output("systemctl stop prometheus-stand-in")


@pytest.mark.usefixtures("prometheus")
def test_an_alert_of_the_first_host_keeps_the_release_from_the_second(
    host: Host, second: Host, rollout: Ansible
) -> None:
    before = servers(host), servers(second)

    done = rollout(
        model_server_settings={"log_level": "error"},
        model_server_prometheus_host="trixie",
        model_server_bake_seconds=2,
    )

    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "LatencyBudgetBurn fires for trixie since release" in said
    assert "Older" not in said.split("LatencyBudgetBurn fires")[1]
    assert servers(host) != before[0]
    assert servers(second) == before[1]
    assert not host.file(LOCK).is_symlink


STATUS = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=10)
connection.request("GET", "/model", headers={"Authorization": "Bearer " + sys.argv[1]})
print(connection.getresponse().status)
"""


def test_a_key_is_good_on_every_host_until_it_is_revoked_and_is_shown_nowhere(
    host: Host,
    second: Host,
    keys: Ansible,
    tmp_path: Path,
    eventually: Callable[[Callable[[], bool]], bool],
) -> None:
    file = tmp_path / "partner.key"

    def answers() -> set[str]:
        return {one.check_output("python3 -c %s %s", STATUS, key) for one in (host, second)}

    made = keys(model_server_key_name="partner", model_server_key_file=str(file))
    assert made.returncode == 0, made.stdout
    key = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert key.split("_", 2)[2] not in made.stdout + made.stderr
    log = host.check_output("tail -n 1 /var/log/shill/deploy.log")
    assert f"key-made key={key.split('_')[1]} scopes=predict" in log
    assert key.split("_", 2)[2] not in log
    assert eventually(lambda: answers() == {"200"})

    revoked = keys(model_server_key_revoke=key.split("_")[1])
    assert revoked.returncode == 0, revoked.stdout
    assert "revoked" in revoked.stdout
    assert eventually(lambda: answers() == {"401"})


def test_a_key_that_cannot_be_made_is_refused_before_anything_is_changed(keys: Ansible) -> None:
    done = keys(model_server_key_name="partner")
    assert done.returncode != 0
    assert "model_server_key_file is empty" in " ".join(done.stdout.split())
