"""From measurements to JSON, and from JSON to Markdown."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.serving.prepare import requirements
from bench.serving.pressure import (
    BATCH_CLIENTS,
    BATCH_ROWS,
    CROWD_CLIENTS,
    PEAK_CLIENTS,
    RATE_CLIENTS,
)

if TYPE_CHECKING:
    from bench.serving.rounds import Sample
    from bench.serving.servers import Server

PACKAGES = (
    "gunicorn",
    "uvicorn",
    "uvloop",
    "httptools",
    "flask",
    "msgspec",
    "onnxruntime",
    "numpy",
)
PEER_PACKAGES = (
    "fastapi",
    "uvicorn",
    "pydantic",
    "orjson",
    "onnxruntime",
    "scikit-learn",
    "pandas",
    "mlserver",
    "litserve",
    "bentoml",
    "mlflow",
)
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Target:
    """This project's requests/s are to be at least `factor` times those of `peer`."""

    workload: str
    peer: str
    factor: float


TARGETS = (
    Target("one row", "fastapi_onnx", 2.5),
    Target("one row, 64 connections", "fastapi_onnx", 2.5),
    Target("one row, 1 connection", "fastapi_onnx", 1.25),
    Target("one row", "forest", 150),
    Target("one row", "mlserver", 10),
    Target("one row", "litserve", 10),
    Target("one row", "mlflow", 10),
    Target("one row", "bentoml", 30),
    Target("1,000 rows", "fastapi_onnx", 2),
)
MOST_BESIDE = 3.0
LEAST_GOODPUT = 0.9
MOST_MS = 50.0
MOST_GROWTH_MIB = 5.0
WORKER_LIMIT = 250 * MEBIBYTE


def results(
    *,
    servers: Sequence["Server"],
    samples: Iterable["Sample"],
    inside_ms: dict[str, dict[str, float]],
    memory: dict[str, dict[str, int]],
    pressure: dict[str, Any],
    model_version: str,
    seconds: int,
    load_average: float,
) -> dict[str, Any]:
    """Gather everything that is worth keeping, as JSON types."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": f"{_distribution()}, Linux {platform.release()}",
            "load_average_before": load_average,
        },
        "versions": {
            "python": platform.python_version(),
            "project": {package: version(package) for package in PACKAGES},
            "peers": _peer_versions({server.framework for server in servers if server.framework}),
        },
        "model": model_version,
        "seconds": seconds,
        "titles": {server.name: server.title for server in servers},
        "descriptions": {server.name: server.what for server in servers},
        "inside_ms": inside_ms,
        "memory": memory,
        "pressure": pressure,
        "samples": [
            {"round": sample.round, "workload": sample.workload, "server": sample.server}
            | {name: round(value, 4) for name, value in asdict(sample.measurement).items()}
            for sample in samples
        ],
    }


def table(run: dict[str, Any]) -> str:
    """Render the figures of a run as Markdown tables."""
    lines: list[str] = []
    own = next(iter(run["titles"]))
    for workload in dict.fromkeys(sample["workload"] for sample in run["samples"]):
        lines += [
            f"**{workload[0].upper()}{workload[1:]}**",
            "",
            "| Server | requests/s | this project / it | p50 ms | p99 ms | CPU ms a request |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for name, title in run["titles"].items():
            if not _values(run, workload, name, "requests_per_second"):
                continue
            ratio = "1" if name == own else _spread(_ratios(run, workload, name))
            cells = [
                _figure(median(_values(run, workload, name, field)))
                for field in ("requests_per_second", "p50_ms", "p99_ms", "cpu_ms_per_request")
            ]
            lines.append(f"| {title} | {cells[0]} | {ratio} | {' | '.join(cells[1:])} |")
        lines.append("")
    lines += [
        "**Memory after the load, MiB**",
        "",
        "| Server | worker RSS | worker PSS | all processes PSS |",
        "|---|---:|---:|---:|",
    ]
    for name, title in run["titles"].items():
        sizes = (f"{size / MEBIBYTE:.0f}" for size in run["memory"][name].values())
        lines.append(f"| {title} | {' | '.join(sizes)} |")
    return "\n".join(lines) + "\n"


def targets(run: dict[str, Any]) -> str:
    """Render what was to be reached and what was."""
    own = next(iter(run["titles"]))
    lines = ["| To reach | Measured | |", "|---|---:|---|"]
    for target in TARGETS:
        if target.peer not in run["titles"]:
            continue
        ratio = median(_ratios(run, target.workload, target.peer))
        lines.append(
            f"| {target.workload}: at least {target.factor:g}x {run['titles'][target.peer]} "
            f"| {_figure(ratio)}x | {_verdict(ratio >= target.factor)} |"
        )
        if target.peer == "fastapi_onnx" and target.workload.startswith("one row"):
            ours, theirs = (
                median(_values(run, target.workload, name, "p99_ms")) for name in (own, target.peer)
            )
            lines.append(
                f"| {target.workload}: p99 not above its {_figure(theirs)} ms "
                f"| {_figure(ours)} ms | {_verdict(ours <= theirs)} |"
            )
    lines += [
        f"| {what} | {figure} | {_verdict(reached)} |" for what, figure, reached in _pressed(run)
    ]
    worker = run["memory"][own]["worker_rss"]
    lines.append(
        f"| one worker: below {WORKER_LIMIT // MEBIBYTE} MiB resident "
        f"| {worker / MEBIBYTE:.0f} MiB | {_verdict(worker < WORKER_LIMIT)} |"
    )
    return "\n".join(lines) + "\n"


def _pressed(run: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """List what was to be reached under pressure: what, its figure, whether it was."""
    beside, overload = run["pressure"]["beside_batches"], run["pressure"]["overload"]
    times = beside["p99_ms"] / beside["quiet_p99_ms"]
    goodput = overload["answered_per_second"] / overload["peak_per_second"]
    health, refusals = overload["health_p99_ms"], overload["refusal_p99_ms"]
    rows = [
        (
            f"p99 beside {BATCH_CLIENTS} batches of {BATCH_ROWS:,}: at most {MOST_BESIDE:g}x",
            f"{times:.1f}x",
            times <= MOST_BESIDE,
        ),
        (
            f"answers to {CROWD_CLIENTS:,} clients: at least {LEAST_GOODPUT:.0%} of its peak",
            f"{goodput:.1%}",
            goodput >= LEAST_GOODPUT,
        ),
        (f"`/health` then: p99 within {MOST_MS:g} ms", f"{health:.0f} ms", health <= MOST_MS),
    ]
    endurance = run["pressure"]["endurance"]
    rows.append(
        (
            f"{endurance['answered']:,.0f} mixed requests: at most {MOST_GROWTH_MIB:g} MiB more",
            f"{endurance['grown_mib']:.1f} MiB",
            endurance["grown_mib"] <= MOST_GROWTH_MIB,
        )
    )
    if overload["refused_per_second"]:
        what = f"refusals then: p99 within {MOST_MS:g} ms"
        rows.append((what, f"{refusals:.0f} ms", refusals <= MOST_MS))
    return rows


def pressure(run: dict[str, Any]) -> str:
    """Render the server's behaviour at fixed rates, beside batches and beyond its capacity."""
    found = run["pressure"]
    rates = next(iter(found["rates"].values()))
    lines = [
        f"**One row at a fixed rate over {RATE_CLIENTS} connections: p99 since it was due, ms**",
        "",
        "| Server | " + " | ".join(f"{int(rate):,}/s" for rate in rates) + " |",
        "|---|" + "---:|" * len(rates),
    ]
    for name, figures in found["rates"].items():
        cells = (f"{value:,.1f}" for value in figures.values())
        lines.append(f"| {run['titles'][name]} | {' | '.join(cells)} |")
    beside, overload = found["beside_batches"], found["overload"]
    return (
        "\n".join(lines)
        + f"""

**Beside batches**: two workers on one core answer single rows with a p99 of
{_figure(beside["quiet_p99_ms"])} ms, and while {BATCH_CLIENTS} clients send batches of
{BATCH_ROWS:,} rows with one of {_figure(beside["p99_ms"])} ms.

**Beyond capacity**: to {PEAK_CLIENTS} clients, each of which sends its next request as soon as its
last is answered, one worker gives {overload["peak_per_second"]:,.0f} answers/s. To
{CROWD_CLIENTS:,} it gives {overload["answered_per_second"]:,.0f}/s, p99
{overload["answer_p99_ms"]:.0f} ms, and refuses {overload["refused_per_second"]:,.0f}/s (p99
{overload["refusal_p99_ms"]:.0f} ms), who come back after the second that `Retry-After` names.
`/health` answers meanwhile with a p99 of {overload["health_p99_ms"]:.0f} ms; the worker's memory
grows by {overload["grown_mib"]:.0f} MiB for {CROWD_CLIENTS - PEAK_CLIENTS:,} more connections.
"""
    )


def headline(run: dict[str, Any]) -> str:
    """Render the README's sentence."""
    workload, peer = TARGETS[0].workload, TARGETS[0].peer
    own = next(iter(run["titles"]))
    rate = median(_values(run, workload, own, "requests_per_second"))
    times = median(_ratios(run, workload, peer))
    return (
        f"One core answers {_figure(rate)} single predictions a second over 16 connections, each\n"
        f"validated, logged and counted: {times:.1f} times as many as a hand-tuned FastAPI server "
        "with the\nsame model that does not log ([benchmarks](docs/benchmarks.md))."
    )


def page(run: dict[str, Any], edge: dict[str, Any]) -> str:
    """Render docs/benchmarks.md."""
    machine, versions = run["machine"], run["versions"]
    rounds = 1 + max(sample["round"] for sample in run["samples"])
    waiting = median(sample["waiting"] for sample in run["samples"])
    described = "\n".join(
        f"| {title} | {run['descriptions'][name]} |" for name, title in run["titles"].items()
    )
    return f"""\
<!-- Written by `make bench`: do not edit. -->

# Benchmarks

How fast the prediction API is, beside the pattern it replaces and beside the fastest FastAPI server
we know how to write. `make bench` measures it anew on your machine and rewrites this page.

![Predictions a second, by server and number of connections](images/benchmark.svg)

## Result

{targets(run)}
{table(run)}
{pressure(run)}
Figures are medians of {rounds} rounds, ratios the median (minimum to maximum) of the rounds' own
ratios.

{_limits(run)}{_servers(run)}

{behind_the_edge(edge)}

## What is compared

| Server | What it is |
|---|---|
{described}

The peers are in [`bench/serving/peers`](../bench/serving/peers), a folder for each framework with
its locked dependencies. `make bench` measures those behind FastAPI, `make bench PEERS=all` all of
them.

## How it is measured

- Every server runs on one core, all with the same one; the load generator,
  [wrk](https://github.com/wg/wrk), on another, with 16 keep-alive connections where nothing else is
  said. Fixed rates and crowds come from [`crowd.py`](../bench/serving/crowd.py), once each.
- The servers take turns within each round ({run["seconds"]} s each, after a warm-up), so that what
  else the machine does meets all of them alike.
- Every request differs from the one before: each row of the dataset once, or one of 32 batches
  drawn from it.
- Before the load, each server's probabilities must be those of its model within 1e-6. An answer
  other than 2xx fails the run, and so does a row that this project's metrics or log miss.
- CPU a request is the processor time of all of a server's processes; it hardly depends on what
  else the machine does.

## Where it was measured

{run["date"]}, model `{run["model"]}`. {machine["processor"]}, {machine["cores"]} cores,
{machine["memory_bytes"] / 2**30:.0f} GiB, {machine["system"]}, Python {versions["python"]}; load
average before the run {machine["load_average_before"]:.1f}, and while they were measured the
servers waited {waiting:.1%} of the time for their core.

- This project: {_listed(versions["project"])}.
- Peers: {_listed(versions["peers"])}.

Every sample is in [`bench/serving/results.json`](../bench/serving/results.json).
"""


def behind_the_edge(edge: dict[str, Any]) -> str:
    """Say what `bench.edge` has measured."""
    rounds = edge["rounds"]
    own, behind = rounds[0]
    rows = "\n".join(
        f"| {name} | {_middle(rounds, name, 'answered_per_second'):,.0f} "
        f"| {_middle(rounds, name, 'answer_p50_ms'):.1f} "
        f"| {_middle(rounds, name, 'answer_p99_ms'):.1f} |"
        for name in (own, behind)
    )
    ratios = [
        one[behind]["answered_per_second"] / one[own]["answered_per_second"] for one in rounds
    ]
    return f"""\
## Behind the edge

`python -m bench.edge` asks the server of the lab itself, and through nginx with TLS, in turns, over
{edge["clients"]} connections that are kept. Clients, nginx and server share the processors:

| Asked | predictions/s | p50 ms | p99 ms |
|---|---:|---:|---:|
{rows}

That is {_spread(ratios)} times as many, medians of {len(rounds)} rounds of
{edge["seconds"]:g} s on {edge["date"]}. The edge encrypts, parses each request a second time and
writes a line of its log."""


def _middle(rounds: list[dict[str, Any]], name: str, figure: str) -> float:
    return float(median(one[name][figure] for one in rounds))


def _limits(run: dict[str, Any]) -> str:
    """Say where the time of batches and of a lone connection goes, by what can be measured."""
    own = next(iter(run["titles"]))
    batch, peer = TARGETS[-1].workload, TARGETS[-1].peer
    ours, theirs = (median(_values(run, batch, name, "cpu_ms_per_request")) for name in (own, peer))
    parts = run["inside_ms"][batch]
    single = "one row, 1 connection"
    hot = run["inside_ms"][single]["all"]
    served = median(_values(run, single, own, "cpu_ms_per_request"))
    return f"""\
Batches gain least. Of the {_figure(ours)} ms of processor time that {batch} take here, the model,
ONNX Runtime on one thread, takes {_figure(parts["model"])} ms, as it does in every server that has
it; decoding, validating and arranging the records {_figure(parts["decoding"])} ms; predictions, log
lines, metrics and the answer {_figure(parts["all"] - parts["model"] - parts["decoding"])} ms; the
server, its event loop and the kernel have the rest. The tuned peer takes {_figure(theirs)} ms and
logs nothing, so even with nothing but the model this project would be
{_figure(theirs / parts["model"])}x as fast.

A lone connection gains little, too: its requests come one by one, so there is nothing to share. An
answer, log and metrics included, takes {_figure(hot)} ms in a loop within one process, and
{_figure(served)} ms of processor time in the server: waiting for the next request, the kernel
switches to other work, and the interpreter's code has left the processor's caches."""


def _servers(run: dict[str, Any]) -> str:
    """Say what the servers made for models take for a request, where they were measured."""
    named = [
        name for name in ("mlserver", "litserve", "bentoml", "mlflow") if name in run["titles"]
    ]
    if not named:
        return ""
    workload = TARGETS[0].workload
    costs = [
        f"{run['titles'][name]} takes {_figure(cost)} ms"
        for name in named
        for cost in [median(_values(run, workload, name, "cpu_ms_per_request"))]
    ]
    own = median(_values(run, workload, next(iter(run["titles"])), "cpu_ms_per_request"))
    return f"""

Servers made for models spend a request's time on what they can do beside it, such as calling a
process of their own. Of processor time, {", ".join(costs[:-1])}
and {costs[-1]}, where this project takes {_figure(own)} ms. MLServer is measured at its fastest,
without parallel workers and metrics."""


def _values(run: dict[str, Any], workload: str, server: str, field: str) -> list[float]:
    return [
        sample[field]
        for sample in run["samples"]
        if (sample["workload"], sample["server"]) == (workload, server)
    ]


def _ratios(run: dict[str, Any], workload: str, peer: str) -> list[float]:
    """Divide this project's requests/s by the peer's, round by round."""
    own = next(iter(run["titles"]))
    return [
        ours / theirs
        for ours, theirs in zip(
            _values(run, workload, own, "requests_per_second"),
            _values(run, workload, peer, "requests_per_second"),
            strict=True,
        )
    ]


def _spread(values: list[float]) -> str:
    return f"{_figure(median(values))} ({_figure(min(values))} to {_figure(max(values))})"


def _figure(value: float) -> str:
    """Round to what is worth reading."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _verdict(reached: bool) -> str:
    return "reached" if reached else "**missed**"


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{package} {number}" for package, number in versions.items())


def _peer_versions(frameworks: set[str]) -> dict[str, str]:
    locks = (requirements(framework).read_text() for framework in sorted(frameworks))
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", "\n".join(locks), flags=re.MULTILINE))
    return {package: pins[package] for package in PEER_PACKAGES if package in pins}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")


def _distribution() -> str:
    return platform.freedesktop_os_release()["PRETTY_NAME"]
