"""Starts the service as it runs in production: Gunicorn, workers, a store and a log of its own."""

import contextlib
import http.client
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from flask_app.log.lines import LoggedPrediction
from flask_app.model.bundle import Bundle
from flask_app.profiles.snapshot import Snapshot
from flask_app.record import FEATURES
from flask_app.store.directory_store import DirectoryStore
from tests.traffic import LogReader

RECORD: dict[str, Any] = {"auction_id": "732"} | dict.fromkeys(FEATURES, 0.5)
JSON = {"Content-Type": "application/json"}
PATIENCE_SECONDS = 60.0

Series = tuple[str, tuple[tuple[str, str], ...]]
"""Name and sorted labels of a sample."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def wait_until(condition: Callable[[], Any]) -> Any:
    """Return what `condition` gives as soon as that is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Client:
    """One keep-alive connection, opened again after it is lost."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] = JSON
    ) -> Answer:
        """Send one request; raises OSError or HTTPException when the connection is lost."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()


class Server:
    """A service that can be started; `directory` holds its store, its log and its output."""

    command = (sys.executable, "-m", "gunicorn", "-c", "python:flask_app.serving.gunicorn_conf")

    def __init__(
        self, directory: Path, port: int | None = None, *, cwd: Path | None = None, **settings: Any
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.store = DirectoryStore(directory / "models", Bundle)
        self.profiles = DirectoryStore(directory / "profiles", Snapshot)
        self.log_dir = directory / "predictions"
        self.output = directory / "server.log"
        self.port = port or free_port()
        self.cwd = cwd
        defaults = {
            "authentication": "off",
            "bind": f"127.0.0.1:{self.port}",
            "log_dir": self.log_dir,
            "metrics_dir": directory / "metrics",
            "model_store": self.store.path,
            "profile_store": self.profiles.path,
            "reload_seconds": 0.05,
        }
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SHILL_")} | {
            f"SHILL_{name.upper()}": str(value) for name, value in (defaults | settings).items()
        }
        self.workers = settings.get("workers", 2)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until every worker answers."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command, cwd=self.cwd, env=self.environment, stdout=output, stderr=output
            )
        wait_until(lambda: self.text().count("Application startup complete") == self.workers)

    def stop(self) -> int:
        """Stop gracefully; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_SECONDS)
        finally:
            self.process.kill()

    def text(self) -> str:
        """Return what the service has written to its own log."""
        return self.output.read_text()

    def entries(self) -> list[dict[str, Any]]:
        """Return the service's own log, each line of which is a JSON object."""
        return [json.loads(line) for line in self.text().splitlines()]

    def pids(self) -> list[int]:
        """Return the process ids of the workers."""
        master = self.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
        return [int(pid) for pid in children.split()]

    def resident_bytes(self) -> list[int]:
        """Return the resident memory of each worker."""
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids()]
        return [count * resource.getpagesize() for count in pages]

    def client(self) -> Client:
        return Client(self.port)

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send one request on a connection of its own, so that any worker may get it."""
        client = self.client()
        try:
            return client.request(method, path, body, **options)
        finally:
            client.close()

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("/ready").status == 200
        return False

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> Answer:
        return self.request("POST", path, body)

    def metrics(self) -> dict[Series, float]:
        """Return every sample of `/metrics` by its name and labels."""
        answer = self.get("/metrics")
        assert answer.status == 200, answer
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.body.decode())
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of `name` that have `labels`."""
        return sum(
            value
            for (sample, given), value in self.metrics().items()
            if sample == name and labels.items() <= dict(given).items()
        )

    def logged(self) -> tuple[list[LoggedPrediction], int]:
        """Return the lines of the prediction log, and how many are torn."""
        reader = LogReader(self.log_dir, LoggedPrediction)
        return list(reader), reader.torn_lines


@contextmanager
def running(
    directory: Path, bundles: Iterable[Path] = (), snapshot: Path | None = None, **settings: Any
) -> Iterator[Server]:
    """Run a service in `directory` that has published `bundles` and promoted the first.

    It uses `snapshot` for profiles, if there is one.
    """
    server = Server(directory, **settings)
    versions = [server.store.publish(bundle) for bundle in bundles]
    if versions:
        server.store.promote(versions[0])
    if snapshot:
        server.profiles.promote(server.profiles.publish(snapshot))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def problem(answer: Answer) -> str:
    """The name of the problem that `answer` is, having checked its form."""
    assert answer.headers["Content-Type"] == "application/problem+json"
    details = answer.json
    assert details["status"] == answer.status
    assert details["title"]
    assert details["detail"]
    name: str = details["type"].removeprefix("/docs/errors#")
    return name


def exchange(server: Server, *parts: bytes) -> bytes:
    """Send raw bytes and return everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def raw_request(body: bytes, *headers: str, path: str = "/predict", version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: test", "Connection: close", *headers]
    return "\r\n".join([*lines, "Content-Type: application/json", "", ""]).encode() + body


@dataclass
class Traffic:
    """What clients have met so far."""

    acknowledged: list[str] = field(default_factory=list)
    """The id of every prediction answered with 200."""
    refused: list[Answer] = field(default_factory=list)
    """Every other answer."""
    lost: int = 0
    """Requests whose connection was lost before an answer."""


@contextmanager
def load(server: Server, *, threads: int = 4, batch_rows: int = 5) -> Iterator[Traffic]:
    """Send records, and now and then a batch, on `threads` connections until the block ends."""
    traffic = Traffic()
    stopping = threading.Event()

    def send() -> None:
        client = server.client()
        for number in itertools.count():
            if stopping.is_set():
                break
            try:
                if number % 10:
                    answer = client.request("POST", "/predict", RECORD)
                else:
                    answer = client.request("POST", "/predict_batch", [RECORD] * batch_rows)
            except (OSError, http.client.HTTPException):
                traffic.lost += 1
                stopping.wait(0.01)
                continue
            if answer.status == 200:
                predictions = answer.json.get("predictions", [answer.json])
                traffic.acknowledged += [item["prediction_id"] for item in predictions]
            else:
                traffic.refused.append(answer)
        client.close()

    with ThreadPoolExecutor(threads) as pool:
        clients = [pool.submit(send) for _ in range(threads)]
        try:
            yield traffic
        finally:
            stopping.set()
    for client in clients:
        client.result()
