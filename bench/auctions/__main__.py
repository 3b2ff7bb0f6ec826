"""Measure `POST /score_auction` and its profiles: `python -m bench.auctions`.

One worker on one core is asked over 16 connections about auctions of 20 bids by 8 bidders whom the
profiles know, with and without reasons. The snapshot is that of a site with many bidders.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from bench.serving.load import measure, send
from bench.serving.material import Workload, make_material, write_bodies
from bench.serving.prepare import CACHE, prepare
from bench.serving.servers import RunningServer, Server, own_server, running
from flask_app.bids.tables import DAY
from flask_app.commands.table import table
from flask_app.profiles.snapshot import DATABASE, Profiles, Snapshot
from flask_app.store.directory_store import DirectoryStore
from tests.profiles import make_profiles

BIDDERS = 1_000_000
BIDS_OF_AUCTION, BIDDERS_OF_AUCTION = 20, 8
ASKED = 1000
CONNECTIONS = 16
LOOKUPS = 200_000
OPENED = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.auctions", description=__doc__)
    parser.add_argument("--bidders", type=int, default=BIDDERS, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=int, default=2, help="of each; default: %(default)s")
    options = parser.parse_args()
    prepare([])
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        store = _snapshot(Path(place), options.bidders, random)
        material = make_material()
        with own_server(material) as own, _asked(own, store, options.bidders, random) as server:
            _ask(server, options.rounds, options.seconds)
    return 0


def _snapshot(place: Path, bidders: int, random: np.random.Generator) -> Path:
    """Make a site with so many bidders, and its profiles; returns their store."""
    auctions, bids = _site(bidders, random)
    (place / "made").mkdir()
    began = time.perf_counter()
    made = make_profiles(place / "made", auctions, bids)
    making = time.perf_counter() - began
    store = DirectoryStore(place / "profiles", Snapshot)
    store.promote(store.publish(made))
    began = time.perf_counter()
    profiles = Profiles.load(made)
    loading = time.perf_counter() - began
    names = [(f"b{who}", f"s{whose}") for who, whose in random.integers(0, bidders, (LOOKUPS, 2))]
    began = time.perf_counter()
    for bidder, seller in names:
        profiles.bidder(bidder, profiles.seller(seller))
    lookup = (time.perf_counter() - began) / LOOKUPS
    size = (made / DATABASE).stat().st_size
    header = ("bidders", "bids", "MB", "making s", "loading s", "look-up µs")
    row = (f"{profiles.manifest.bidders:,}", f"{len(bids):,}", f"{size / 1e6:.0f}")
    print(table(header, [(*row, f"{making:.1f}", f"{loading:.2f}", f"{1e6 * lookup:.1f}")]))
    return store.path


def _site(bidders: int, random: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return auctions that each bidder has a part in, and their bids."""
    auctions = max(bidders // 2, 1)
    names = np.arange(auctions)
    opened = int(OPENED.timestamp() * 1e6)
    held = pd.DataFrame(
        {
            "auction_id": [f"a{name}" for name in names],
            "seller_id": [f"s{name}" for name in random.integers(0, auctions // 10 + 1, auctions)],
            "item_category": [f"c{name % 50}" for name in names],
            "starting_price": random.uniform(1, 100, auctions),
            "opened_at": opened,
            "closes_at": opened + 5 * DAY,
        }
    )
    count = auctions * BIDS_OF_AUCTION
    # Each bidder once, so that none is missing, and the rest at random.
    who = np.concatenate([np.arange(bidders), random.integers(0, bidders, count - bidders)])
    bids = pd.DataFrame(
        {
            "bid_id": np.arange(count).astype(str),
            "auction_id": held["auction_id"].to_numpy()[np.arange(count) % auctions],
            "bidder_id": np.char.add("b", who.astype(str)),
            "amount": random.uniform(1, 500, count),
            "placed_at": opened + random.integers(0, 5 * DAY, count),
        }
    )
    return held, bids


@contextmanager
def _asked(
    own: Server, store: Path, bidders: int, random: np.random.Generator
) -> Iterator[RunningServer]:
    """Run the server with the profiles at `store`, and what it is to be asked."""
    workloads = tuple(
        Workload(
            name,
            f"/score_auction?explain={'true' if reasons else 'false'}",
            CONNECTIONS,
            rows=((0,) * BIDDERS_OF_AUCTION,),
            **write_bodies(name.replace(" ", "-"), _bodies(bidders, run, random)),
        )
        for name, reasons, run in (
            ("without reasons", False, 1),
            ("reasons where flagged", True, 1),
            ("reasons, a shill each", True, 5),
        )
    )
    environment = {**own.environment, "SHILL_PROFILE_STORE": str(store)}
    with running(replace(own, environment=environment, workloads=workloads)) as server:
        yield server


def _bodies(bidders: int, run: int, random: np.random.Generator) -> list[Any]:
    """Make auctions; in each the first bidder places `run` bids in a row."""
    bodies = []
    for number in range(ASKED):
        who = random.choice(bidders, BIDDERS_OF_AUCTION, replace=False)
        rest = BIDS_OF_AUCTION - BIDDERS_OF_AUCTION - (run - 1)
        order = [*([who[0]] * (run - 1)), *who, *random.choice(who, rest)]
        times = np.sort(random.integers(0, 5 * 86_400, BIDS_OF_AUCTION))
        bodies.append(
            {
                "auction": {
                    "auction_id": f"new{number}",
                    "seller_id": f"s{random.integers(0, bidders // 20 + 1)}",
                    "item_category": f"c{number % 50}",
                    "starting_price": 5.0,
                    "opened_at": OPENED.isoformat(),
                    "closes_at": (OPENED + timedelta(days=5)).isoformat(),
                },
                "bids": [
                    {
                        "bid_id": str(turn),
                        "bidder_id": f"b{bidder}",
                        "amount": 10.0 + turn,
                        "placed_at": (OPENED + timedelta(seconds=int(second))).isoformat(),
                    }
                    for turn, (bidder, second) in enumerate(zip(order, times, strict=True))
                ],
            }
        )
    return bodies


def _ask(server: RunningServer, rounds: int, seconds: int) -> None:
    """Measure each workload in turns and print the medians."""
    workloads = server.server.workloads
    found: dict[str, list[Any]] = {workload.name: [] for workload in workloads}
    for _ in range(rounds):
        for workload in workloads:
            send(server, workload, 1)
            found[workload.name].append(measure(server, workload, seconds))
    header = ("auctions", "auctions/s", "p50 ms", "p99 ms", "CPU ms", "worker RSS MiB", "PSS MiB")
    memory = server.memory()
    rows = [
        (
            name,
            f"{median(one.requests_per_second for one in of):,.0f}",
            f"{median(one.p50_ms for one in of):.2f}",
            f"{median(one.p99_ms for one in of):.2f}",
            f"{median(one.cpu_ms_per_request for one in of):.2f}",
            f"{memory['worker_rss'] / 2**20:.0f}",
            f"{memory['worker_pss'] / 2**20:.0f}",
        )
        for name, of in found.items()
    ]
    print(table(header, rows))


if __name__ == "__main__":
    sys.exit(main())
