"""What the tests of all scenarios share: Ansible run anew on the host under test, and patience."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from testinfra.host import Host

INVENTORY = Path(__file__).parent / "shared" / "inventory"
PATIENCE_SECONDS = 90

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def ansible(host: Host) -> Run:
    """Run one of Ansible's commands on the host under test, and on the controller what is its."""

    def run(*command: str) -> CompletedProcess[str]:
        return subprocess.run(
            [
                *command,
                f"--inventory={INVENTORY}",
                f"--limit={host.check_output('hostname')},localhost",
            ],
            capture_output=True,
            text=True,
            check=False,
            # Plain text, though Molecule asks for colours.
            env=os.environ | {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_FORCE_COLOR": "false"},
        )

    return run


@pytest.fixture(scope="module")
def converge(ansible: Run) -> Run:
    """Converge the scenario anew, with options that win over those of converge.yml."""
    playbook = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "converge.yml"

    def run(*arguments: str, **options: object) -> CompletedProcess[str]:
        extra = f"--extra-vars={json.dumps(options)}"
        return ansible("ansible-playbook", str(playbook), extra, *arguments)

    return run


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
