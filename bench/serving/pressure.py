"""This project's server at fixed rates, beside large batches and beyond its capacity."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
                str(rate): _crowd(started, single, RATE_CLIENTS, seconds, rate)["answer_p99_ms"]
                for rate in RATES
            }
    with running(own, first) as started:
        overload = _overload(started, single, seconds)
    two = replace(own, environment={**own.environment, "SHILL_WORKERS": "2"})
    with running(two, first) as started:
        beside = _beside_batches(started, material, scratch, seconds)
    return {"rates": rates, "overload": overload, "beside_batches": beside}


def _overload(server: RunningServer, workload: Workload, seconds: int) -> dict[str, float]:
    peak = _crowd(server, workload, PEAK_CLIENTS, seconds)
    before = server.memory()["worker_rss"]
    health: dict[str, float] = {}
    probe = threading.Thread(
        target=lambda: health.update(
            _crowd(
                server, replace(workload, path="/health"), 1, seconds, PROBES_PER_SECOND, get=True
            )
        )
    )
    probe.start()
    crowd = _crowd(server, workload, CROWD_CLIENTS, seconds)
    probe.join()
    return {
        "peak_per_second": peak["answered_per_second"],
        **crowd,
        "health_p99_ms": health["answer_p99_ms"],
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
    with _batches(server, large):
        beside = measure(server, single, seconds).p99_ms
    return {"quiet_p99_ms": quiet, "p99_ms": beside}


@contextmanager
def _batches(server: RunningServer, body: Path) -> Iterator[None]:
    """Send large batches, again and again, from as many clients."""
    workload = Workload("batches", "/predict_batch", BATCH_CLIENTS, (), (), body)
    command = _command(server, workload, BATCH_CLIENTS, 3600, 0)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
        if process.poll() is not None:
            raise BenchError("the clients that were to send batches have stopped")
    finally:
        process.kill()
        process.wait()


def _crowd(
    server: RunningServer,
    workload: Workload,
    clients: int,
    seconds: int,
    rate: float = 0,
    *,
    get: bool = False,
) -> dict[str, float]:
    """Let a crowd send; raises `BenchError` for an answer that is neither success nor refusal."""
    command = _command(server, workload, clients, seconds, rate, get=get)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    if figures.pop("other"):
        raise BenchError(f"{server.server.name}, {workload.path}: neither 200 nor 503")
    return figures


def _command(
    server: RunningServer,
    workload: Workload,
    clients: int,
    seconds: int,
    rate: float,
    *,
    get: bool = False,
) -> list[str]:
    bodies = [] if get else [str(workload.file)]
    return [
        *(sys.executable, "-m", "bench.serving.crowd", server.url + workload.path, *bodies),
        *(f"--clients={clients}", f"--rate={rate}", f"--seconds={seconds}"),
        f"--core={cores()[1]}",
    ]
