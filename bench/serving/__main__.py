"""Measure the prediction API beside its peers: `python -m bench.serving`, or `make bench`."""

import argparse
import json
import os
import re
import resource
import sys
from typing import Any

from bench.serving import report
from bench.serving.inside import inside_ms
from bench.serving.material import make_material
from bench.serving.plot import plot
from bench.serving.prepare import HERE, BenchError, prepare
from bench.serving.pressure import under_pressure
from bench.serving.rounds import started, take_turns
from bench.serving.servers import fastapi_servers, model_servers, own_server

ROOT = HERE.parents[1]
RESULTS = HERE / "results.json"
EDGE = HERE.parent / "edge" / "results.json"
PAGE = ROOT / "docs/benchmarks.md"
README = ROOT / "README.md"
PLOT = ROOT / "docs/images/benchmark.svg"
WRITTEN = (PAGE, PLOT, RESULTS, README)
QUIET_LOAD = 0.5


def main() -> int:
    """Run the benchmark; returns the exit status (1: it could not be measured)."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument(
        "--peers",
        choices=("default", "all"),
        default="default",
        help="default: those behind FastAPI; all: also MLServer, LitServe, BentoML and MLflow",
    )
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=5, help="a round (default: %(default)s)")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        help="write "
        + ", ".join(str(file.relative_to(ROOT)) for file in (PAGE, PLOT, RESULTS, README)),
    )
    options = parser.parse_args()
    # Servers and crowds have more connections than a process may have by default.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    try:
        run = _measure(options.peers == "all", options.rounds, options.seconds)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"\n{report.targets(run)}\n{report.table(run)}")
    if options.write_docs:
        RESULTS.write_text(json.dumps(run, indent=1) + "\n")
        PAGE.write_text(report.page(run, json.loads(EDGE.read_text())))
        headline = f"<!-- benchmark -->\n{report.headline(run)}\n<!-- /benchmark -->"
        marked = re.compile("<!-- benchmark -->.*<!-- /benchmark -->", re.DOTALL)
        README.write_text(marked.sub(lambda _: headline, README.read_text()))
        plot(run, PLOT)
    return 0


def _measure(all_peers: bool, rounds: int, seconds: int) -> dict[str, Any]:
    """Start every server, check it, measure all of them in turn, check again."""
    material = make_material()
    load_average = os.getloadavg()[0]
    if load_average > QUIET_LOAD:
        print(f"warning: load average {load_average:.1f}: the figures will be noisy")
    peers = fastapi_servers(material)
    tuned = peers[-1]
    peers += model_servers(material) if all_peers else []
    prepare({peer.framework for peer in peers})
    with own_server(material) as own, started([own, *peers], material) as servers:
        workloads = [workload.name for workload in material.workloads]
        samples = take_turns(servers, workloads, rounds, seconds)
        memory = {server.server.name: server.memory() for server in servers}
    with own_server(material) as own:
        pressure = under_pressure(own, tuned, material, seconds)
    return report.results(
        servers=[own, *peers],
        samples=samples,
        inside_ms={item.name: inside_ms(material, item) for item in material.workloads},
        memory=memory,
        pressure=pressure,
        model_version=material.bundle.name,
        seconds=seconds,
        load_average=load_average,
    )


if __name__ == "__main__":
    sys.exit(main())
