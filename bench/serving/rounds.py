"""Servers that take turns, round by round."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product

from bench.serving.checks import check_answers, check_bookkeeping
from bench.serving.load import Measurement, measure, send
from bench.serving.material import Material
from bench.serving.servers import RunningServer, Server, running

WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Sample:
    """One measurement and what it was of."""

    round: int
    workload: str
    server: str
    measurement: Measurement


@contextmanager
def started(servers: Iterable[Server], material: Material) -> Iterator[list[RunningServer]]:
    """Start all of `servers`, each of which has to answer right; raises `BenchError`."""
    with ExitStack() as stack:
        running_servers = [stack.enter_context(running(server)) for server in servers]
        for server in running_servers:
            check_answers(server, material)
        yield running_servers


def take_turns(
    servers: Sequence[RunningServer], workloads: Iterable[str], rounds: int, seconds: int
) -> list[Sample]:
    """Measure every server under each of `workloads` that it has a part in, `rounds` times.

    Args:
        servers: This project's first; its metrics and log have to show every row it answered.
        workloads: Their names.
        rounds: How often.
        seconds: How long each measurement takes, after a warm-up.

    Raises:
        BenchError: A request failed, or a row is missing.
    """
    samples = []
    rows_answered = 0
    for number, name, server in product(range(rounds), workloads, servers):
        workload = server.server.workload(name)
        if workload is None:
            continue
        warm_up = send(server, workload, WARM_UP_SECONDS)
        figures = measure(server, workload, seconds)
        if server is servers[0]:
            rows_answered += (warm_up["requests"] + figures.requests) * workload.rows_a_request
        samples.append(Sample(number, name, server.server.name, figures))
        print(
            f"round {number + 1}/{rounds}  {name:23}  {server.server.name:18}  "
            f"{figures.requests_per_second:8.1f} requests/s  p99 {figures.p99_ms:8.2f} ms",
            flush=True,
        )
    check_bookkeeping(servers[0], rows_answered)
    return samples
