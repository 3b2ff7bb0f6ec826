"""Measure the prediction API beside its peers: `python -m bench.serving`, or `make bench`."""

import argparse
import json
import os
import resource
import sys
import tempfile
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

from bench.serving import report
from bench.serving.checks import check_answers, check_bookkeeping
from bench.serving.load import measure, send
from bench.serving.material import inference_ms, make_material
from bench.serving.plot import plot
from bench.serving.prepare import CACHE, HERE, BenchError, prepare
from bench.serving.pressure import under_pressure
from bench.serving.servers import contestants, running

ROOT = HERE.parents[1]
RESULTS = HERE / "results.json"
PAGE = ROOT / "docs/benchmarks.md"
PLOT = ROOT / "docs/images/benchmark.svg"
WARM_UP_SECONDS = 1
QUIET_LOAD = 0.5


def main() -> int:
    """Run the benchmark; returns the exit status (1: it could not be measured)."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=5, help="a round (default: %(default)s)")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="write " + ", ".join(str(file.relative_to(ROOT)) for file in (PAGE, PLOT, RESULTS)),
    )
    options = parser.parse_args()
    # Servers and crowds have more connections than a process may have by default.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    try:
        prepare()
        run = _measure(options.rounds, options.seconds)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\n{report.targets(run)}\n{report.table(run)}")
    if options.write_docs:
        RESULTS.write_text(json.dumps(run, indent=1) + "\n")
        PAGE.write_text(report.page(run))
        plot(run, PLOT)
    return 0


def _shared_memory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir="/dev/shm")


def _measure(rounds: int, seconds: int) -> dict[str, Any]:
    """Start every server, check it, measure all of them in turn, check again."""
    material = make_material()
    load_average = os.getloadavg()[0]
    if load_average > QUIET_LOAD:
        print(f"warning: load average {load_average:.1f}: the figures will be noisy")
    first = material.workloads[0]
    samples = []
    with ExitStack() as stack:
        # On a disk as in production, not in memory; shared memory for the metrics likewise.
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=CACHE)))
        metrics = Path(stack.enter_context(_shared_memory()))
        servers = [
            stack.enter_context(running(server, (first.path, first.bodies[0])))
            for server in contestants(material, scratch, metrics)
        ]
        for server in servers:
            check_answers(server, material)
        rows_answered = dict.fromkeys(servers, 0)
        for number, workload, server in product(range(rounds), material.workloads, servers):
            warm_up = send(server, workload, WARM_UP_SECONDS)
            figures = measure(server, workload, seconds)
            requests = warm_up["requests"] + figures.requests
            rows_answered[server] += requests * workload.rows_a_request
            samples.append(report.Sample(number, workload.name, server.server.name, figures))
            print(
                f"round {number + 1}/{rounds}  {workload.name:23}  {server.server.name:18}  "
                f"{figures.requests_per_second:8.1f} requests/s  p99 {figures.p99_ms:8.2f} ms",
                flush=True,
            )
        check_bookkeeping(servers[0], rows_answered[servers[0]])
        memory = {server.server.name: server.memory() for server in servers}
    with tempfile.TemporaryDirectory(dir=CACHE) as again, _shared_memory() as memory_again:
        own, *_, peer = contestants(material, Path(again), Path(memory_again))
        pressure = under_pressure(own, peer, material, Path(again), seconds)
    return report.results(
        titles={server.server.name: server.server.title for server in servers},
        samples=samples,
        inference_ms={item.name: inference_ms(material, item) for item in material.workloads},
        memory=memory,
        pressure=pressure,
        model_version=material.bundle.name,
        seconds=seconds,
        load_average=load_average,
    )


if __name__ == "__main__":
    sys.exit(main())
