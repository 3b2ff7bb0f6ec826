"""What the tests share: questions to Prometheus, a model server's stub, the role run anew."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]

GET = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
"""

# What Prometheus needs to see of a model server.
STUB = """
import http.server
class Stub(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b'shill_model_info{version="v1",dataset="d",estimator="e"} 1\\n')
http.server.HTTPServer(("127.0.0.1", 8000), Stub).serve_forever()
"""


@pytest.fixture(scope="module")
def get(host: Host) -> Callable[[str], str]:
    """Return what a URL answers on the host."""
    return lambda url: host.check_output("python3 -c %s %s", GET, url)


@pytest.fixture(scope="module")
def api(get: Callable[[str], str]) -> Callable[[str], Any]:
    """Return the data that Prometheus's API answers with."""
    return lambda path: json.loads(get(f"http://127.0.0.1:9090/api/v1/{path}"))["data"]


@pytest.fixture(scope="module")
def targets(api: Callable[[str], Any]) -> Callable[[str], set[str]]:
    """Return the instances that a job of Prometheus scrapes."""

    def read(job: str) -> set[str]:
        active = api("targets?state=active")["activeTargets"]
        return {t["labels"]["instance"] for t in active if t["labels"]["job"] == job}

    return read


@pytest.fixture(scope="module")
def metric(get: Callable[[str], str]) -> Callable[[str], str]:
    """Return the value of one of Prometheus's own metrics, without waiting for its scrape."""

    def read(name: str) -> str:
        lines = get("http://127.0.0.1:9090/metrics").splitlines()
        (value,) = (line.split()[1] for line in lines if line.startswith(f"{name} "))
        return value

    return read


@pytest.fixture(scope="module")
def program(host: Host) -> Callable[[str], str]:
    """Return the command by which a program of the monitoring is run, wherever it is."""
    in_container = not host.exists("promtool")
    containers = {"promtool": "prometheus", "amtool": "alertmanager"}
    return lambda name: f"docker exec {containers[name]} {name}" if in_container else name


@pytest.fixture
def model_server(host: Host) -> Iterator[Callable[[str], None]]:
    """A stub of a model server; call it with `start` or `stop`."""
    host.check_output("printf %%s %s >/tmp/stub.py", STUB)

    def control(verb: str) -> None:
        if verb == "start":
            host.check_output("systemd-run --quiet --collect --unit=stub python3 /tmp/stub.py")
        else:
            host.check_output("systemctl stop stub")

    control("start")
    yield control
    host.run("systemctl stop stub")


@pytest.fixture(scope="module")
def converge(
    converge: Callable[..., CompletedProcess[str]],
) -> Callable[..., CompletedProcess[str]]:
    """Run the role, with options that win over those of converge.yml."""
    return partial(converge, "--tags=prometheus")
