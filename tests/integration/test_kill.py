"""Workers that are killed at random take nothing with them that was acknowledged."""

import contextlib
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.integration.conftest import Figure, Serve
from tests.integration.server import Series, Server, load, wait_until

KILL_SECONDS = float(os.environ.get("KILL_SECONDS", "20"))
COUNTED = ("_total", "_count", "_sum", "_bucket")


class Scraper:
    """Scrapes again and again and insists that no counter ever falls."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.highest: dict[Series, float] = {}
        self.scrapes = 0

    def scrape(self) -> None:
        for key, value in self._server.metrics().items():
            if key[0].endswith(COUNTED):
                before = self.highest.get(key, 0.0)
                assert value >= before, f"{key} fell from {before} to {value}"
                self.highest[key] = value
        self.scrapes += 1

    def run(self, stopping: threading.Event) -> None:
        while not stopping.wait(0.1):
            with contextlib.suppress(OSError):  # the worker that was to answer was killed
                self.scrape()


def test_killed_workers_lose_no_acknowledged_prediction_and_no_count(
    serve: Serve, record_property: Figure
) -> None:
    server = serve(workers=3)
    scraper = Scraper(server)
    kills = 0
    stopping = threading.Event()
    with ThreadPoolExecutor(1) as pool, load(server, threads=4) as traffic:
        scraping = pool.submit(scraper.run, stopping)
        end = time.monotonic() + KILL_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(ProcessLookupError, IndexError):  # none is left just now
                os.kill(random.choice(server.pids()), signal.SIGKILL)  # noqa: S311
                kills += 1
            time.sleep(random.uniform(0.3, 1.7))  # noqa: S311
        stopping.set()
        scraping.result()
    wait_until(server.is_ready)
    scraper.scrape()
    assert server.stop() == 0

    lines, torn = server.logged()
    logged = [line.prediction_id for line in lines]
    acknowledged = traffic.acknowledged
    record_property(
        f"kill -9 for {KILL_SECONDS:.0f} s",
        f"{kills} kills, {len(acknowledged)} predictions acknowledged, {len(logged)} logged, "
        f"{torn} lines torn, {traffic.lost} requests lost, {scraper.scrapes} scrapes",
    )
    assert kills >= 5
    assert scraper.scrapes >= 5
    assert len(acknowledged) > 100
    assert traffic.refused == []
    assert len(set(acknowledged)) == len(acknowledged)
    assert len(set(logged)) == len(logged)
    assert set(acknowledged) <= set(logged)
    assert total(scraper.highest, "shill_predictions_total") >= len(acknowledged)


def total(samples: dict[Series, float], name: str) -> float:
    return sum(value for key, value in samples.items() if key[0] == name)
