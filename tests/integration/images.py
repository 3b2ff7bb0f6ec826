"""Images of this checkout, built where there is an engine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BUILDER = Path(__file__).parents[2] / "molecule/shared/image"


def build(dockerfile: str, name: str, **environment: str) -> str:
    """Build an image unless it is there already; returns what it is called."""
    if (
        not shutil.which("docker")
        or subprocess.run(["docker", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker engine answers: `make up` provides one")
    done = subprocess.run(
        [BUILDER, dockerfile, name],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout.strip()
