"""This project's server at fixed rates, beside large batches and beyond its capacity."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from bench.serving.load import measure
from bench.serving.material import Material, Workload
from bench.serving.prepare import BenchError, cores
from bench.serving.servers import RunningServer, Server, running

RATES = (1000, 2000, 4000, 8000)
RATE_CLIENTS = 64
BATCH_CLIENTS = 4
BATCH_ROWS = 10_000
PEAK_CLIENTS = 64
CROWD_CLIENTS = 2000
PROBES_PER_SECOND = 50
NEVER_ENDING_SECONDS = 3600
MEBIBYTE = 2**20


def under_pressure(
    own: Server, peer: Server, material: Material, scratch: Path, seconds: int
) -> dict[str, Any]:
    """Measure all three; `own` and `peer` are not running.

    Returns:
        JSON types; times in ms, memory in MiB.
    """
    single = material.workloads[0]
    first = (single.path, single.bodies[0])
    rates: dict[str, dict[str, float]] = {}
    for server in (own, peer):
        with running(server, first) as started:
            rates[server.name] = {
                str(rate): _figures(
                    _crowd(started, single.path, single.file, RATE_CLIENTS, seconds, rate)
                )["answer_p99_ms"]
                for rate in RATES
            }
    with running(own, first) as started:
        overload = _overload(started, single, seconds)
    two = replace(own, environment={**own.environment, "SHILL_WORKERS": "2"})
    with running(two, first) as started:
        beside = _beside_batches(started, material, scratch, seconds)
    return {"rates": rates, "overload": overload, "beside_batches": beside}


def _overload(server: RunningServer, single: Workload, seconds: int) -> dict[str, float]:
    peak = _figures(_crowd(server, single.path, single.file, PEAK_CLIENTS, seconds))
    before = server.memory()["worker_rss"]
    probes = _crowd(server, "/health", None, 1, seconds, PROBES_PER_SECOND)
    crowd = _figures(_crowd(server, single.path, single.file, CROWD_CLIENTS, seconds))
    return {
        "peak_per_second": peak["answered_per_second"],
        **crowd,
        "health_p99_ms": _figures(probes)["answer_p99_ms"],
        "grown_mib": (server.memory()["worker_rss"] - before) / MEBIBYTE,
    }


def _beside_batches(
    server: RunningServer, material: Material, scratch: Path, seconds: int
) -> dict[str, float]:
    single, batches = material.workloads[0], material.workloads[-1]
    rows = [row for body in batches.bodies for row in json.loads(body)][:BATCH_ROWS]
    large = scratch / "large.json"
    large.write_bytes(msgspec.json.encode(rows))
    quiet = measure(server, single, seconds).p99_ms
    clients = _crowd(server, batches.path, large, BATCH_CLIENTS, NEVER_ENDING_SECONDS)
    try:
        beside = measure(server, single, seconds).p99_ms
        if clients.poll() is not None:
            raise BenchError("the clients that were to send batches have stopped")
    finally:
        clients.kill()
        clients.communicate()
    return {"quiet_p99_ms": quiet, "p99_ms": beside}


def _crowd(
    server: RunningServer,
    path: str,
    bodies: Path | None,
    clients: int,
    seconds: int,
    rate: float = 0,
) -> "subprocess.Popen[str]":
    """Start a crowd; see `bench.serving.crowd`."""
    command = [sys.executable, "-m", "bench.serving.crowd", server.url + path]
    command += [str(bodies)] if bodies else []
    command += [f"--clients={clients}", f"--rate={rate}", f"--seconds={seconds}"]
    command += [f"--core={cores()[1]}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _figures(crowd: "subprocess.Popen[str]") -> dict[str, float]:
    """Wait for a crowd; raises `BenchError` if it was not answered with 200 or 503 throughout."""
    output, _ = crowd.communicate()
    figures: dict[str, float] = json.loads(output) if crowd.returncode == 0 else {"other": 1}
    if figures.pop("other"):
        raise BenchError(f"{crowd.args!r}: it failed, or got answers other than 200 and 503")
    return figures
