"""What the tests share: the job as cron runs it, traffic for it, and what it has left."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from flask_app.model.store import DirectoryStore
from tests.traffic import write_reference

ROOT = Path(__file__).resolve().parents[3]
STORE = DirectoryStore(ROOT / ".cache/molecule/store")
ENTRY = "/etc/cron.d/shill-drift"


@pytest.fixture(scope="module")
def job(host: Host) -> Callable[[], CommandResult]:
    """Run the job as cron does: what its entry says, in the environment that cron gives."""

    def run() -> CommandResult:
        *_, user, command = host.check_output(f"tail -n 1 {ENTRY}").split(maxsplit=6)
        assert user == "root"
        environment = "HOME=/root LOGNAME=root PATH=/usr/bin:/bin SHELL=/bin/sh"
        return host.run(f"cd /root && env -i {environment} /bin/sh -c %s", command)

    return run


@pytest.fixture(scope="module")
def line(host: Host) -> Callable[[], str]:
    """The last line of the job's log."""
    return lambda: host.check_output("tail -n 1 /var/log/shill/drift.log")


@pytest.fixture(scope="module")
def metrics(host: Host) -> Callable[[], dict[str, float]]:
    """Every sample of the job's two textfiles."""

    def read() -> dict[str, float]:
        lines = host.check_output("cat /var/lib/node_exporter/textfile/*.prom").splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    return read


@pytest.fixture(scope="module")
def traffic(host: Host) -> None:
    """Predictions of the model's own training data: nothing has drifted."""
    pointer = STORE.production()
    assert pointer
    with tempfile.TemporaryDirectory() as directory:
        write_reference(Path(directory), STORE.fetch(pointer.version))
        target = f"{host.backend.name}:/var/lib/shill/predictions"
        host.check_output("rm --recursive --force /var/lib/shill/predictions/dt=*")
        subprocess.run(["docker", "cp", "--quiet", f"{directory}/.", target], check=True)
    host.check_output("chown --recursive shill:shill /var/lib/shill/predictions")


@pytest.fixture(scope="module")
def role(converge: Callable[..., CompletedProcess[str]]) -> Callable[..., CompletedProcess[str]]:
    """Apply the role, with options that win over those of converge.yml."""
    return partial(converge, "--tags=evidently_cron:configure")


@pytest.fixture(scope="module")
def configured(
    role: Callable[..., CompletedProcess[str]],
) -> Iterator[Callable[..., None]]:
    """Apply the role with other options; after the last test, without."""

    def run(**options: object) -> None:
        done = role(**options)
        assert done.returncode == 0, done.stdout

    yield run
    run()
