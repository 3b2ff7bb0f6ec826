"""Measure what a run of the drift job costs: `python -m bench.drift_job`.

Beside it, in turn and on the same machine, stands what cannot be had cheaper: the time that Python
takes to import Evidently.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from flask_app.commands.table import table
from flask_app.log.lines import LoggedPrediction
from flask_app.model.bundle import REFERENCE, Bundle
from flask_app.record import FEATURES
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle
from tests.traffic import label, prediction, prediction_id, write, write_labels

IMPORT = "from evidently import DataDefinition, Dataset, Report\nimport evidently.metrics"
JOB = "import sys\nfrom flask_app.cli import main\nsys.exit(main(['drift']))"
TELL_PEAK = """
import atexit, re
def tell_peak():
    status = open("/proc/self/status").read()
    open({path!r}, "w").write(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
atexit.register(tell_peak)
"""
"""Told by the process itself: what wait4 tells counts in the memory of whoever has started it."""
SMALL, LARGE, WRITERS, HOURS = 10_000, 1_000_000, 4, 12
LABELLED = 10
"""One prediction in so many has a label."""

Cost = tuple[float, float, float]
"""Wall time, s; processor time, s, that other load hardly changes; memory, MB."""


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.drift_job", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        hosts = make_host(Path(small), SMALL), make_host(Path(large), LARGE)
        everything = {"SHILL_DRIFT_WINDOW_ROWS": str(LARGE)}
        programs = {
            "import of Evidently": (IMPORT, hosts[0]),
            f"{SMALL:,} rows": (JOB, hosts[0]),
            f"{LARGE:,}-row log, window of {SMALL:,}": (JOB, hosts[1]),
            f"{LARGE:,}-row log, all of it": (JOB, hosts[1] | everything),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in programs}
        for _ in range(options.rounds):
            for name, (program, environment) in programs.items():
                costs[name].append(measure(program, environment))
    medians = {
        name: tuple(map(statistics.median, zip(*found, strict=True)))
        for name, found in costs.items()
    }
    shortest = medians["import of Evidently"]
    rows = [
        (
            name,
            *(f"{part:.1f}" for part in cost[:2]),
            *(f"{part / least:.2f}" for part, least in zip(cost[:2], shortest, strict=False)),
            f"{cost[2]:.0f}",
        )
        for name, cost in medians.items()
    ]
    header = (f"median of {options.rounds}", "wall s", "CPU s", "x import", "x its CPU", "MB")
    print(table(header, rows))
    return 0


def make_host(directory: Path, rows: int) -> dict[str, str]:
    """Make a model store and a log of its predictions; returns the environment that names them."""
    store = DirectoryStore(directory / "models", Bundle)
    bundle = make_bundle(directory)
    version = store.publish(bundle)
    store.promote(version)
    columns = list(FEATURES)
    reference = pd.read_parquet(bundle / REFERENCE)[columns].to_numpy().tolist()
    values = [dict(zip(columns, row, strict=True)) for row in reference]
    end, log_dir = time.time() - 60, directory / "predictions"
    begin = end - HOURS * 3600

    def made_at(number: int) -> float:
        return begin + (end - begin) * number / rows

    def lines(writer: int) -> Iterator[LoggedPrediction]:
        for number in range(writer, rows, WRITERS):
            yield prediction(
                made_at(number),
                number,
                model_version=version,
                auction_id=str(number // 8),
                **values[number % len(values)],
            )

    for writer in range(WRITERS):
        write(log_dir, lines(writer), at=begin)
    labelled = range(0, rows, LABELLED)
    write_labels(log_dir, (label(prediction_id(made_at(n), n), False, end) for n in labelled))
    return os.environ | {
        "DO_NOT_TRACK": "1",
        "SHILL_MODEL_STORE": str(store.path),
        "SHILL_LOG_DIR": str(log_dir),
        "SHILL_DRIFT_REPORTS_DIR": str(directory / "reports"),
        "SHILL_DRIFT_TEXTFILE_DIR": str(directory / "textfile"),
    }


def measure(program: str, environment: dict[str, str]) -> Cost:
    """Run a Python program; an exit status that is neither 0 nor 3 ends the benchmark."""
    with tempfile.NamedTemporaryFile() as peak:
        command = [sys.executable, "-c", TELL_PEAK.format(path=peak.name) + program]
        began = time.perf_counter()
        _, status, usage = os.wait4(os.posix_spawn(command[0], command, environment), 0)
        seconds = time.perf_counter() - began
        if (code := os.waitstatus_to_exitcode(status)) not in {0, 3}:
            raise SystemExit(f"the job ended with status {code}")
        return seconds, usage.ru_utime + usage.ru_stime, int(Path(peak.name).read_text()) / 1024


if __name__ == "__main__":
    sys.exit(main())
