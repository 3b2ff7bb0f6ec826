"""What has to be on the machine before anything can be measured."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
VENV = HERE / ".venv"
PEERS_BIN = VENV / "bin"
CACHE = HERE / ".cache"

DEBIAN_PACKAGES = {"wrk": "wrk", "taskset": "util-linux"}


class BenchError(Exception):
    """The measurement cannot be made, or would not be worth anything."""


def prepare() -> None:
    """Install what is missing: wrk and taskset from Debian, the peers into their own environment.

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
    uv = Path(sys.executable).with_name("uv")
    if not PEERS_BIN.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, VENV], check=True)
    subprocess.run(
        [uv, "pip", "sync", "--quiet", "--python", VENV, "--require-hashes", REQUIREMENTS],
        check=True,
    )


def cores() -> tuple[int, int]:
    """Return the core of the servers and that of the load generator."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise BenchError("one core only: server and load generator need a core each")
    return available[0], available[1]
