"""What has to be on the machine before anything can be measured."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
PEERS = HERE / "peers"
"""A folder for each framework: its servers and their locked dependencies."""

DEBIAN_PACKAGES = {"wrk": "wrk", "taskset": "util-linux"}


class BenchError(Exception):
    """The measurement cannot be made, or would not be worth anything."""


def requirements(framework: str) -> Path:
    """Return the lock file of the peers of a framework."""
    return PEERS / framework / "requirements.txt"


def binary(framework: str, name: str) -> str:
    """Return a command of the environment that `prepare` makes for the peers of a framework."""
    return str(CACHE / "environments" / framework / "bin" / name)


def prepare(frameworks: Iterable[str]) -> None:
    """Install what is missing: wrk and taskset from Debian, each framework by itself.

    Raises:
        BenchError: A tool is missing and cannot be installed, or there are fewer than two cores.
    """
    cores()
    missing = [package for tool, package in DEBIAN_PACKAGES.items() if not shutil.which(tool)]
    if missing:
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise BenchError(f"not found: install {' and '.join(missing)}")
        subprocess.run(["apt-get", "update", "--quiet=2"], check=True)
        subprocess.run(["apt-get", "install", "--quiet=2", "--yes", *missing], check=True)
    CACHE.mkdir(exist_ok=True)
    uv = [str(Path(sys.executable).with_name("uv"))]
    for framework in frameworks:
        python = Path(binary(framework, "python"))
        environment = python.parents[1]
        if not python.exists():
            subprocess.run(
                [*uv, "venv", "--quiet", "--python", sys.executable, environment], check=True
            )
        hashed = ["--require-hashes", str(requirements(framework))]
        subprocess.run(
            [*uv, "pip", "sync", "--quiet", "--python", environment, *hashed], check=True
        )


def cores() -> tuple[int, int]:
    """Return the core of the servers and that of the load generator."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise BenchError("one core only: server and load generator need a core each")
    return available[0], available[1]
