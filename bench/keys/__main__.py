"""Measure what a request pays for its key: `python -m bench.keys`.

The check of a good key, as the server makes it before it reads a body, in a loop within one process
beside other keys, with shared metrics and limits.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median

from flask_app.keys.store import KeyStore
from flask_app.serving.access import Access
from flask_app.serving.metrics import ServiceMetrics, take_slot
from flask_app.settings import Settings

OTHERS = 99
CHECKS = 20_000
ROUNDS = 11


def main() -> int:
    """Run the benchmark; returns the exit status."""
    argparse.ArgumentParser(prog="python -m bench.keys", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shared:
        place = Path(shared)
        take_slot(0, place)
        store = KeyStore(place / "keys")
        for _ in range(OTHERS + 1):
            _, key = store.create(
                "bench", scopes=("predict",), requests_per_second=1e6, lifetime=timedelta(days=1)
            )
        access = Access(Settings(key_store=store.directory), ServiceMetrics(place))
        header = f"Bearer {key}".encode()
        seconds = asyncio.run(_loop(lambda: access.admit(header, "predict")))
    print(f"{OTHERS + 1} keys: a request pays {1e6 * seconds:.1f} µs of processor time for its key")
    return 0


async def _loop(check: Callable[[], None]) -> float:
    """Return the processor time of one check, s, the median of the rounds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CHECKS):
            check()
        taken.append((time.process_time() - began) / CHECKS)
        await asyncio.sleep(0)
    return median(taken)


if __name__ == "__main__":
    sys.exit(main())
