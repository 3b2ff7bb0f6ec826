"""Measure `score` on simulated auctions: `python -m bench.score`.

The whole command is timed, in a process of its own: reading and checking the tables, the features,
the model and the files. `--reasons` explains what is flagged, too.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from flask_app.commands.table import table
from flask_app.model.bundle import Bundle
from flask_app.settings import Settings
from flask_app.simulator.market import UCI_MARKET
from flask_app.simulator.simulation import hold_tables
from flask_app.store.directory_store import DirectoryStore
from flask_app.training.source import load
from flask_app.training.train import train

AUCTIONS = 500_000
MEBIBYTE = 2**20
SCORE = """
import atexit, pathlib, re, sys
def tell_peak():
    status = pathlib.Path("/proc/self/status").read_text()
    print("peak", re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
atexit.register(tell_peak)
from flask_app.cli import main
sys.exit(main(sys.argv[1:]))
"""


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.score", description=__doc__)
    parser.add_argument("--auctions", type=int, default=AUCTIONS, help="default: %(default)s")
    parser.add_argument("--reasons", action="store_true", help="explain what is flagged")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        store = DirectoryStore(place / "models", Bundle)
        store.promote(store.publish(train(load(Settings.from_environment()), 0, place).directory))
        bids, megabytes = _write_site(place, options.auctions)
        command = ["score", "--auctions", str(place / "auctions.parquet")]
        command += ["--bids", str(place / "bids.parquet"), "--output", str(place / "scored")]
        command += [] if options.reasons else ["--no-reasons"]
        began, before = time.perf_counter(), os.times()
        done = subprocess.run(
            [sys.executable, "-c", SCORE, *command],
            env=os.environ | {"SHILL_MODEL_STORE": str(store.path)},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        seconds, after = time.perf_counter() - began, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    found = re.search(r"([\d,]+) records", done.stdout)
    peak = re.search(r"peak (\d+)", done.stdout)
    records, kilobytes = (found[1] if found else "?"), int(peak[1]) if peak else 0
    print(done.stdout)
    header = ("bids", "MB of Parquet", "records", "s", "CPU s", "bids/s", "peak MiB")
    row = (f"{bids:,}", f"{megabytes:.0f}", records, f"{seconds:.1f}", f"{cpu:.1f}")
    print(table(header, [(*row, f"{bids / seconds:,.0f}", f"{kilobytes * 1024 / MEBIBYTE:,.0f}")]))
    return 0


def _write_site(place: Path, auctions: int) -> tuple[int, float]:
    """Write simulated tables as Parquet; returns how many bids, and the size of their file, MB."""
    held, bids = hold_tables(auctions, 0, UCI_MARKET)
    with duckdb.connect() as database:
        for name, frame in (("auctions", held), ("bids", bids)):
            times = [column for column in frame if str(column).endswith("_at")]
            columns = ", ".join(f"to_timestamp({time} / 1e6) AS {time}" for time in times)
            database.register("frame", frame)
            database.execute(
                f"COPY (SELECT * REPLACE ({columns}) FROM frame) "  # noqa: S608
                f"TO '{place / name}.parquet'"
            )
    return len(bids), (place / "bids.parquet").stat().st_size / 1e6


if __name__ == "__main__":
    sys.exit(main())
