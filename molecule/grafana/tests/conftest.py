"""What the tests share: questions to a host's Grafana, and the role run anew with other options."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "correct-horse-41-battery"  # noqa: S105 - that of converge.yml

ASK = """
import base64, json, sys, urllib.error, urllib.request
request = urllib.request.Request("http://127.0.0.1:3000" + sys.argv[1])
if len(sys.argv) > 2:
    login = base64.b64encode(("admin:" + sys.argv[2]).encode()).decode()
    request.add_header("Authorization", "Basic " + login)
try:
    answer = urllib.request.urlopen(request, timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, json.load(answer)]))
"""

Ask = Callable[..., tuple[int, Any]]
Converge = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def ask(host: Host) -> Ask:
    """Return status and JSON of an answer; without a password, nobody is logged in."""

    def run(path: str, password: str | None = None) -> tuple[int, Any]:
        arguments = [path] if password is None else [path, password]
        quoted = " ".join(["%s"] * (1 + len(arguments)))
        status, body = json.loads(host.check_output(f"python3 -c {quoted}", ASK, *arguments))
        return status, body

    return run


@pytest.fixture(scope="module")
def container(host: Host) -> Callable[[], dict[str, Any]]:
    """Return what the engine says of Grafana's container."""

    def run() -> dict[str, Any]:
        described: dict[str, Any] = json.loads(host.check_output("docker inspect grafana"))[0]
        return described

    return run


@pytest.fixture(scope="module")
def converge(converge: Converge) -> Converge:
    """Run the role, or what the arguments say, with options that win over those of converge.yml."""
    return lambda *arguments, **options: converge(*(arguments or ["--tags=grafana"]), **options)


@pytest.fixture(scope="session")
def image() -> str:
    """The image that the hosts were given."""
    with tarfile.open(ROOT / ".cache/image/grafana.tar") as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest
        name: str = json.load(manifest)[0]["RepoTags"][0]
    return name
