"""This project's server at fixed rates, beside batches, beyond its capacity and for long."""

import json
import subprocess
import sys
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from bench.serving.load import measure
from bench.serving.material import Material, Workload
from bench.serving.prepare import CACHE, BenchError, cores
from bench.serving.servers import RunningServer, Server, running

RATES = (1000, 2000, 4000, 8000)
RATE_CLIENTS = 64
BATCH_CLIENTS = 4
BATCH_ROWS = 10_000
PEAK_CLIENTS = 64
CROWD_CLIENTS = 2000
PROBES_PER_SECOND = 50
NEVER_ENDING_SECONDS = 3600
MIXED_REQUESTS = 1_000_000
MIXED_CLIENTS = 8
"""For each kind of request."""
MIXED_SECONDS = 10
"""After each of these the crowds start anew, on new connections."""
SMALL_BATCH_ROWS = 10
MEBIBYTE = 2**20


def under_pressure(own: Server, peer: Server, material: Material, seconds: int) -> dict[str, Any]:
    """Measure all of it; `own` and `peer` are not running.

    Returns:
        JSON types; times in ms, memory in MiB.
    """
    single = material.workloads[0]
    rates: dict[str, dict[str, float]] = {}
    for server in (own, peer):
        with running(server) as started:
            rates[server.name] = {
                str(rate): _figures(
                    _crowd(started, single.path, single.file, RATE_CLIENTS, seconds, rate)
                )["answer_p99_ms"]
                for rate in RATES
            }
    with running(own) as started:
        overload = _overload(started, single, seconds)
    with running(own) as started:
        endurance = _endurance(started, material)
    two = replace(own, environment={**own.environment, "SHILL_WORKERS": "2"})
    with running(two) as started:
        beside = _beside_batches(started, material, seconds)
    return {"rates": rates, "overload": overload, "beside_batches": beside, "endurance": endurance}


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


def _beside_batches(server: RunningServer, material: Material, seconds: int) -> dict[str, float]:
    single, batches = material.workloads[0], material.workloads[-1]
    rows = [row for body in batches.bodies for row in json.loads(body)][:BATCH_ROWS]
    large = CACHE / "large.json"
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


def _endurance(server: RunningServer, material: Material) -> dict[str, float]:
    """Send requests of every kind, right and wrong, and watch the worker's memory."""
    single, batches = material.workloads[0], material.workloads[-1]
    kinds = (
        ("/predict", single.bodies, 200),
        ("/predict", [body.replace(b'"auction_id"', b'"auction"') for body in single.bodies], 422),
        ("/predict_batch", [_rows(body, SMALL_BATCH_ROWS) for body in batches.bodies], 200),
        ("/feedback", [_label(number) for number in range(len(single.bodies))], 200),
    )
    files = []
    for number, (_, bodies, _) in enumerate(kinds):
        files.append(CACHE / f"mixed-{number}.jsonl")
        files[-1].write_bytes(b"\n".join(bodies))

    def send() -> float:
        crowds = [
            _crowd(server, path, file, MIXED_CLIENTS, MIXED_SECONDS)
            for (path, _, _), file in zip(kinds, files, strict=True)
        ]
        return sum(
            _figures(crowd, (status, 503))[f"status_{status}"]
            for crowd, (_, _, status) in zip(crowds, kinds, strict=True)
        )

    send()
    before = server.memory()["worker_rss"]
    answered = 0.0
    while answered < MIXED_REQUESTS:
        answered += send()
    grown = (server.memory()["worker_rss"] - before) / MEBIBYTE
    return {"answered": answered, "grown_mib": grown}


def _rows(body: bytes, count: int) -> bytes:
    return msgspec.json.encode(json.loads(body)[:count])


def _label(number: int) -> bytes:
    label = {"prediction_id": f"019ab2f3-6b52-7f24-8b0d-{number:012x}", "is_shill": True}
    return msgspec.json.encode({"labels": [label]})


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


def _figures(
    crowd: "subprocess.Popen[str]", expected: Collection[int] = (200, 503)
) -> dict[str, float]:
    """Wait for a crowd; raises `BenchError` if it met another status than those expected."""
    output, _ = crowd.communicate()
    if crowd.returncode:
        raise BenchError(f"{crowd.args!r} failed")
    figures: dict[str, float] = json.loads(output)
    statuses = {name for name in figures if name.startswith("status_")}
    unexpected = statuses - {f"status_{status}" for status in expected}
    if unexpected:
        raise BenchError(f"{crowd.args!r}: {', '.join(sorted(unexpected))}")
    return figures
