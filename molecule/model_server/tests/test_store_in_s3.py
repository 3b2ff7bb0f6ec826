"""A host that takes its model from S3 follows promotions there, and outlives it.

Before test_takeover.py, and leaves the host as it was provisioned.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from tests.s3 import BUCKET, DistantS3

Ansible = Callable[..., CompletedProcess[str]]
Ask = Callable[..., Any]
Container = Callable[[], dict[str, Any]]
Model = Callable[..., None]

ROOT = Path(__file__).resolve().parents[3]
BUNDLES = ROOT / ".cache" / "molecule" / "bundles"
STORE = f"s3://{BUCKET}/models"
VERSIONS = [json.loads((BUNDLES / seed / "manifest.json").read_text())["version"] for seed in "01"]


@pytest.fixture(scope="module")
def host() -> Host:
    """One host, as in test_takeover.py."""
    return testinfra.get_host("docker://shill-model_server-trixie")


@pytest.fixture(scope="module")
def model(s3: DistantS3) -> Model:
    """Run an operator's command on the store: two versions, none of them in production."""

    def run(*arguments: str) -> None:
        environment = os.environ | s3.environment
        environment |= {"SHILL_MODEL_STORE": STORE, "NO_PROXY": "*"}
        command = [sys.executable, "-m", "flask_app", "model", *arguments]
        subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)

    for seed in "01":
        run("publish", str(BUNDLES / seed))
    return run


@pytest.fixture(scope="module")
def in_s3(
    host: Host, s3: DistantS3, deploy: Ansible
) -> Iterator[Callable[[], CompletedProcess[str]]]:
    """Run the role with the store in S3; afterwards the host is as it was provisioned."""

    def run() -> CompletedProcess[str]:
        return deploy(
            model_server_bundle="",
            model_server_store=STORE,
            model_server_store_environment=s3.environment,
            model_server_settings={"s3_reload_seconds": 1},
        )

    yield run
    assert deploy().returncode == 0
    host.check_output("rm --recursive /var/lib/shill/models/%s", VERSIONS[1])


def served(ask: Ask, version: str) -> bool:
    """Whether every worker comes to serve `version`, which it has some seconds for."""
    for _ in range(60):
        with contextlib.suppress(AssertionError):  # it is just starting
            if {ask("/model")["version"] for _ in range(8)} == {version}:
                return True
        time.sleep(0.5)
    return False


@pytest.mark.usefixtures("model")
def test_a_store_with_nothing_in_production_changes_nothing(
    in_s3: Callable[[], CompletedProcess[str]], container: Container
) -> None:
    before = container()["Id"]
    done = in_s3()
    assert done.returncode != 0
    assert f"no version is in production: promote one of {', '.join(sorted(VERSIONS))}" in (
        " ".join(done.stdout.split())
    )
    assert container()["Id"] == before


def test_the_host_serves_what_is_in_production_in_s3(
    model: Model, in_s3: Callable[[], CompletedProcess[str]], ask: Ask, container: Container
) -> None:
    model("promote", VERSIONS[0])
    done = in_s3()
    assert done.returncode == 0, done.stdout
    assert served(ask, VERSIONS[0])
    environment = dict(item.split("=", 1) for item in container()["Config"]["Env"])
    assert environment["SHILL_MODEL_STORE"] == STORE

    again = in_s3()
    assert again.returncode == 0, again.stdout
    assert "changed=0" in again.stdout


def test_a_promotion_in_s3_needs_no_ansible(model: Model, ask: Ask, container: Container) -> None:
    before = container()["Id"]
    model("promote", VERSIONS[1])
    assert served(ask, VERSIONS[1])
    model("rollback")
    assert served(ask, VERSIONS[0])
    assert container()["Id"] == before


def test_the_copy_on_the_host_is_a_store_for_the_drift_job(host: Host, ask: Ask) -> None:
    pointer = json.loads(host.file("/var/lib/shill/models/production.json").content)
    assert pointer["version"] == ask("/model")["version"]
    assert host.file(f"/var/lib/shill/models/{pointer['version']}/reference.parquet").exists


def test_a_rollback_of_one_host_is_refused_with_the_way_to_do_it(ansible: Ansible) -> None:
    done = ansible(
        *("ansible", "all", "--become", "--module-name=include_role"),
        *(
            "--args=name=model_server tasks_from=rollback",
            f"--extra-vars=model_server_store={STORE}",
        ),
    )
    assert done.returncode != 0
    assert "python -m flask_app model rollback" in " ".join(done.stdout.split())


def test_a_restart_without_s3_serves_the_last_model_and_says_so(
    host: Host, s3: DistantS3, ask: Ask, container: Container
) -> None:
    s3.wire.refuse()
    host.check_output("docker restart %s", container()["Name"].lstrip("/"))
    assert served(ask, VERSIONS[0])
    assert ask("/ready")["model_version"] == VERSIONS[0]
    look = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/metrics').read())"
    metrics = host.check_output("python3 -c %s", look)
    assert "shill_model_store_unreachable 1.0" in metrics
