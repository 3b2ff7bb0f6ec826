"""What the tests share: questions to a host's server, and the role run anew with other options."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]
BUNDLES = ROOT / ".cache" / "molecule" / "bundles"

ASK = """
import json, sys, urllib.error, urllib.request
key, path, *body = sys.argv[1:]
request = urllib.request.Request(
    "http://127.0.0.1:8000" + path,
    body[0].encode() if body else None,
    {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Connection": "close"},
)
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""


@pytest.fixture(scope="module")
def key(host: Host) -> str:
    """A key that may predict."""
    image = host.check_output(
        "docker ps --filter label=shill.service=model-server --format '{{.Image}}'"
    )
    make = "docker run --rm --network none --volume /var/lib/shill/keys:/keys %s"
    return host.check_output(
        f"{make} python -m flask_app keys create test --rate=1000000 2>/dev/null", image
    )


@pytest.fixture(scope="module")
def ask(host: Host, key: str) -> Callable[..., Any]:
    """Return the JSON that the server answers with; fails unless its status is 200."""

    def run(path: str, body: object = None) -> Any:
        arguments = [key, path] if body is None else [key, path, json.dumps(body)]
        quoted = " ".join(["%s"] * (1 + len(arguments)))
        return json.loads(host.check_output(f"python3 -c {quoted}", ASK, *arguments))

    return run


@pytest.fixture(scope="module")
def container(host: Host) -> Callable[[], dict[str, Any]]:
    """Return what the engine says of the one container that serves."""

    def run() -> dict[str, Any]:
        names = host.check_output(
            "docker ps --all --filter label=shill.service --format '{{.Names}}'"
        ).split()
        assert len(names) == 1, names
        described: dict[str, Any] = json.loads(host.check_output("docker inspect %s", names[0]))[0]
        return described

    return run


@pytest.fixture(scope="session")
def golden_rows() -> list[dict[str, Any]]:
    """The golden rows of the bundle that the hosts are provisioned with."""
    manifest = json.loads((BUNDLES / "0" / "manifest.json").read_text())
    rows: list[dict[str, Any]] = manifest["golden_rows"]
    return rows


@pytest.fixture(scope="module")
def deploy(
    converge: Callable[..., CompletedProcess[str]],
) -> Callable[..., CompletedProcess[str]]:
    """Run the role, with options that win over those of converge.yml."""
    return partial(converge, "--tags=model_server")
