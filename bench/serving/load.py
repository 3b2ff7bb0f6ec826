"""One measurement: wrk against one server."""

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.serving.prepare import HERE, BenchError, cores

if TYPE_CHECKING:
    from bench.serving.material import Workload
    from bench.serving.servers import RunningServer


@dataclass(frozen=True)
class Measurement:
    """What one round showed of one server under one workload.

    Attributes:
        requests: Answered.
        requests_per_second: Answered per second of wall-clock time.
        p50_ms: Median latency, ms.
        p99_ms: Latency that 99 % of the requests stay below, ms.
        cpu_ms_per_request: Processor time of all the server's processes, ms.
        waiting: Share of the time that the server was ready to run but its core busy with
            something else: the machine's noise.
    """

    requests: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms_per_request: float
    waiting: float


def send(server: "RunningServer", workload: "Workload", seconds: int) -> dict[str, int]:
    """Send the bodies of `workload` for `seconds`, on each connection one after the other.

    Returns:
        What requests.lua prints.

    Raises:
        BenchError: A request failed or was not answered with 2xx.
    """
    command = ["taskset", "--cpu-list", str(cores()[1]), "wrk", "--threads=1", "--timeout=30s"]
    command += [f"--connections={workload.connections}", f"--duration={seconds}s"]
    command += [f"--script={HERE / 'requests.lua'}", server.url + workload.path]
    command += ["--", str(workload.file)]
    wrk = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, int] = json.loads(wrk.stdout.splitlines()[-1])
    if figures["refused"] or figures["failed"]:
        raise BenchError(
            f"{server.server.name}, {workload.name}: {figures['refused']} requests not answered "
            f"with 2xx, {figures['failed']} not answered"
        )
    return figures


def measure(server: "RunningServer", workload: "Workload", seconds: int) -> Measurement:
    """Send as `send` does, watching the server; raises `BenchError` also for no answer at all."""
    before = server.usage()
    figures = send(server, workload, seconds)
    after = server.usage()
    if not figures["requests"]:
        raise BenchError(f"{server.server.name}, {workload.name}: no answer within {seconds} s")
    duration = figures["microseconds"] / 1e6
    return Measurement(
        requests=figures["requests"],
        requests_per_second=figures["requests"] / duration,
        p50_ms=figures["p50"] / 1e3,
        p99_ms=figures["p99"] / 1e3,
        cpu_ms_per_request=1e3 * (after.cpu - before.cpu) / figures["requests"],
        waiting=(after.waiting_for_core - before.waiting_for_core) / duration,
    )
