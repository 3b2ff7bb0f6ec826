"""What tests of several scenarios share: Ansible run anew on the host under test, jobs that cron
runs there, an S3 that it reaches, and patience."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.s3 import DistantS3, s3_elsewhere

INVENTORY = Path(__file__).parent / "shared" / "inventory"
PATIENCE_SECONDS = 90

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def ansible(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run one of Ansible's commands on the host under test, or on `hosts`, and on the controller.

    Facts are gathered by the first run and kept for the others: no test changes them.
    """
    facts = {
        "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path_factory.mktemp("facts")),
    }

    def run(*command: str, hosts: str = "") -> CompletedProcess[str]:
        return subprocess.run(
            [
                *command,
                f"--inventory={INVENTORY}",
                f"--limit={hosts or host.check_output('hostname')},localhost",
            ],
            capture_output=True,
            text=True,
            check=False,
            # Plain text, though Molecule asks for colours.
            env=os.environ
            | facts
            | {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_FORCE_COLOR": "false"},
        )

    return run


@pytest.fixture(scope="module")
def converge(ansible: Run) -> Run:
    """Converge the scenario anew, with options that win over those of converge.yml."""
    playbook = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "converge.yml"

    def run(*arguments: str, hosts: str = "", **options: object) -> CompletedProcess[str]:
        extra = f"--extra-vars={json.dumps(options)}"
        return ansible("ansible-playbook", str(playbook), extra, *arguments, hosts=hosts)

    return run


@pytest.fixture(scope="module")
def configured(role: Run) -> Iterator[Callable[..., None]]:
    """Apply the scenario's role with other options; after the last test, without."""

    def run(**options: object) -> None:
        done = role(**options)
        assert done.returncode == 0, done.stdout

    yield run
    run()


@pytest.fixture(scope="module")
def job(host: Host, job_name: str) -> Callable[[], CommandResult]:
    """Run a job as cron does: what its entry says, in the environment that cron gives."""

    def run() -> CommandResult:
        entry = f"/etc/cron.d/shill-{job_name}"
        *_, user, command = host.check_output(f"tail -n 1 {entry}").split(maxsplit=6)
        assert user == "root"
        environment = "HOME=/root LOGNAME=root PATH=/usr/bin:/bin SHELL=/bin/sh"
        return host.run(f"cd /root && env -i {environment} /bin/sh -c %s", command)

    return run


@pytest.fixture(scope="module")
def line(host: Host, job_name: str) -> Callable[[], str]:
    """The last line of the job's log."""
    return lambda: host.check_output(f"tail -n 1 /var/log/shill/{job_name}.log")


@pytest.fixture(scope="module")
def container(host: Host, job_name: str) -> Callable[[], dict[str, Any]]:
    """What the engine says of the job's container, of a run that is made for it."""

    def describe() -> dict[str, Any]:
        described = host.check_output(
            f"sh -c 'shill-{job_name} >/dev/null & "
            f"until docker inspect --type=container shill-{job_name} 2>/dev/null >/tmp/described;"
            " do sleep 0.1; done; wait; cat /tmp/described'"
        )
        found: dict[str, Any] = json.loads(described)[0]
        return found

    return describe


@pytest.fixture(scope="module")
def metrics(host: Host) -> Callable[[], dict[str, float]]:
    """Every sample that jobs have left for node exporter."""

    def read() -> dict[str, float]:
        lines = host.check_output("cat /var/lib/node_exporter/textfile/*.prom").splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    return read


@pytest.fixture(scope="module")
def deliver(host: Host) -> Callable[[Path, str], None]:
    """Copy what is in a directory into one of /var/lib/shill."""

    def copy(directory: Path, name: str) -> None:
        target = f"/var/lib/shill/{name}"
        command = ["docker", "cp", "--quiet", f"{directory}/.", f"{host.backend.name}:{target}"]
        subprocess.run(command, check=True)
        host.check_output(f"chown --recursive shill:shill {target}")

    return copy


@pytest.fixture(scope="module")
def s3(host: Host) -> Iterator[DistantS3]:
    """An empty bucket on the controller, at an address that the host's containers reach."""
    with s3_elsewhere(host.check_output("ip -4 route show default").split()[2]) as made:
        yield made


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Wait until a condition holds; that takes seconds, more than PATIENCE_SECONDS are a fault."""

    def wait(holds: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(1)
        return True

    return wait
