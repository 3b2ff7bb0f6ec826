"""What the tests of the role share: a tiny image, and the role run anew with other options."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from testinfra.host import Host


@pytest.fixture(scope="module")
def converge(host: Host) -> Callable[..., CompletedProcess[str]]:
    """Run the role on the host under test, with options that win over those of converge.yml."""

    def run(*arguments: str, **options: object) -> CompletedProcess[str]:
        shared = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule" / "shared"
        return subprocess.run(
            [
                "ansible-playbook",
                f"--inventory={shared / 'inventory'}",
                f"--limit={host.check_output('hostname')}",
                f"--extra-vars={json.dumps(options)}",
                *arguments,
                Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "converge.yml",
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def image(host: Host) -> Iterator[str]:
    """An image with a shell and `sleep`, made of the host's own."""
    name = "tiny"
    host.check_output(
        "programs='/bin/sh /bin/sleep'; "
        "tar --create --dereference --absolute-names "
        "$programs $(ldd $programs | grep --only-matching '/lib[^ ]*' | sort --unique) | "
        f"docker import - {name}"
    )
    yield name
    host.check_output("docker rm --force $(docker ps --all --quiet) && docker rmi %s", name)
