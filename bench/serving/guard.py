"""Say whether the API is still faster than its peer: `python -m bench.serving.guard`.

A bench with a verdict, for CI: this project beside the tuned FastAPI server in the same rounds, one
row a request. Compared is the processor time a request, which other work on the machine hardly
changes, and the floor is far below what `make bench` finds: only a change of the code can miss it.
Exit status: 0 at or above the floor, 1 below it or not measured.
"""

import sys
from operator import truediv
from statistics import median

from bench.serving.material import make_material
from bench.serving.prepare import BenchError, prepare
from bench.serving.rounds import started, take_turns
from bench.serving.servers import fastapi_servers, own_server

ROUNDS = 5
SECONDS = 2
FLOOR = 1.5


def main() -> int:
    """Measure and judge; returns the exit status."""
    try:
        prepare(["fastapi"])
        material = make_material()
        workload = material.workloads[0].name
        peer = fastapi_servers(material)[-1]
        with own_server(material) as own, started([own, peer], material) as servers:
            samples = take_turns(servers, [workload], ROUNDS, SECONDS)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    costs = [sample.measurement.cpu_ms_per_request for sample in samples]
    times = median(map(truediv, costs[1::2], costs[::2]))
    verdict = "fast enough" if times >= FLOOR else "TOO SLOW"
    print(
        f"{workload}: {peer.title} takes {times:.2f}x the processor time a request of "
        f"{own.title}; at least {FLOOR:g}x is wanted: {verdict}"
    )
    return int(times < FLOOR)


if __name__ == "__main__":
    sys.exit(main())
