"""Measure `score` on simulated auctions: `python -m bench.score`.

The whole command is timed, in a process of its own: reading and checking the tables, the features,
the model and the files. `--reasons` explains what is flagged, too. `--engines duckdb spark` runs
both and says how far their records are apart; Spark is in `.venv-spark`
(`.ci/run spark` makes it).
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
from flask_app.record import FEATURES
from flask_app.settings import Settings
from flask_app.simulator.market import UCI_MARKET
from flask_app.simulator.simulation import hold_tables
from flask_app.store.directory_store import DirectoryStore
from flask_app.training.source import load
from flask_app.training.train import train

AUCTIONS = 500_000
MEBIBYTE = 2**20
ENGINES = {"duckdb": sys.executable, "spark": ".venv-spark/bin/python"}
SCORE = """
import atexit, os, pathlib, re, sys
def peak(pid):
    # Of the process and of those that it has started.
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = re.search(r"VmHWM:\\s+(\\d+) kB", status)  # one that has ended has none
    return (int(found[1]) if found else 0) + sum(map(peak, children))
from flask_app.cli import main
if "--engine=spark" in sys.argv:
    from flask_app.scoring.spark import SparkSession
    stop = SparkSession.stop
    SparkSession.stop = lambda session: (print("peak", peak(os.getpid())), stop(session))[1]
else:
    atexit.register(lambda: print("peak", peak(os.getpid())))
sys.exit(main(sys.argv[1:]))
"""


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.score", description=__doc__)
    parser.add_argument("--auctions", type=int, default=AUCTIONS, help="default: %(default)s")
    parser.add_argument("--reasons", action="store_true", help="explain what is flagged")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["duckdb"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        store = DirectoryStore(place / "models", Bundle)
        store.promote(store.publish(train(load(Settings.from_environment()), 0, place).directory))
        bids, megabytes = _write_site(place, options.auctions)
        os.environ["SHILL_MODEL_STORE"] = str(store.path)
        rows = [_measure(place, engine, bids, options.reasons) for engine in options.engines]
        print(f"{bids:,} bids, {megabytes:.0f} MB of Parquet")
        print(table(("engine", "records", "s", "CPU s", "bids/s", "peak MiB"), rows))
        if len(rows) > 1:
            print(_difference(place, *options.engines[:2]))
    return 0


def _measure(place: Path, engine: str, bids: int, reasons: bool) -> tuple[str, ...]:
    command = ["score", f"--engine={engine}", f"--output={place / engine}", "--memory-limit=4GB"]
    command += [f"--{name}={place / name}.parquet" for name in ("auctions", "bids")]
    command += [] if reasons else ["--no-reasons"]
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(
        [ENGINES[engine], "-c", SCORE, *command],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds, after = time.perf_counter() - began, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    found = re.search(r"([\d,]+) records", done.stdout)
    peak = re.search(r"peak (\d+)", done.stdout)
    return (
        engine,
        found[1] if found else "?",
        f"{seconds:.1f}",
        f"{cpu:.1f}" if engine == "duckdb" else "-",  # nobody waits for the JVM
        f"{bids / seconds:,.0f}",
        f"{int(peak[1]) * 1024 / MEBIBYTE:,.0f}" if peak else "?",
    )


def _difference(place: Path, one: str, other: str) -> str:
    """Say how far the records of two engines are apart."""
    apart = ", ".join(f"max(abs(a.{name} - b.{name}))" for name in (*FEATURES, "probability"))
    both = " JOIN ".join(
        f"read_parquet('{place / engine}/*/*.parquet') {alias}"
        for engine, alias in ((one, "a"), (other, "b"))
    )
    with duckdb.connect() as database:
        ((count, largest),) = database.sql(
            f"SELECT count(*), greatest({apart}) FROM {both} USING (auction_id, bidder_id)"  # noqa: S608
        ).fetchall()
    return f"{count:,} records are in both, and differ by {largest:.0e} at most"


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
