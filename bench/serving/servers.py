"""The servers as processes: each on one core, watched through /proc."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.serving.material import Material
from bench.serving.prepare import CACHE, HERE, PEERS_BIN, BenchError, cores
from flask_app.client import Answer, Client
from flask_app.errors import ApiError, ServerUnreachable

START_SECONDS = 60
STOP_SECONDS = 15
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """How to start a server; `{port}` in the command and the environment is replaced."""

    name: str
    title: str
    model: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


def contestants(material: Material, scratch: Path, metrics: Path) -> list[Server]:
    """List the servers to compare, this project's first."""
    uvicorn = (str(PEERS_BIN / "uvicorn"), "--app-dir", str(HERE / "peers"), "--port", "{port}")
    return [
        Server(
            name="shill",
            title="this project, log and metrics on",
            model="onnx",
            command=(
                str(Path(sys.executable).with_name("gunicorn")),
                "--config=python:flask_app.serving.gunicorn_conf",
            ),
            environment={
                "SHILL_BIND": "127.0.0.1:{port}",
                "SHILL_WORKERS": "1",
                "SHILL_MODEL_STORE": str(material.store),
                "SHILL_LOG_DIR": str(scratch / "predictions"),
                "SHILL_METRICS_DIR": str(metrics),
            },
        ),
        Server(
            name="forest",
            title="FastAPI + pandas + random forest",
            model="forest",
            command=(*uvicorn, "fastapi_forest:app"),
            environment={"FOREST": str(material.forest)},
        ),
        Server(
            name="fastapi_documented",
            title="FastAPI + ONNX Runtime, as documented",
            model="onnx",
            command=(*uvicorn, "fastapi_documented:app"),
            environment={"BUNDLE": str(material.bundle)},
        ),
        Server(
            name="fastapi_onnx",
            title="FastAPI + ONNX Runtime, tuned",
            model="onnx",
            command=(
                *uvicorn,
                "--loop=uvloop",
                "--http=httptools",
                "--no-access-log",
                "--no-proxy-headers",
                "--no-server-header",
                "--no-date-header",
                "fastapi_onnx:app",
            ),
            environment={"BUNDLE": str(material.bundle)},
        ),
    ]


@dataclass(frozen=True)
class Usage:
    """What a server has consumed since it started, s."""

    cpu: float
    waiting_for_core: float


class RunningServer:
    """A started server that answers."""

    def __init__(self, server: Server, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.server = server
        self.client = Client(f"http://127.0.0.1:{port}", timeout=30, keep_alive=False)
        self._process = process

    @property
    def url(self) -> str:
        """Where it answers."""
        return self.client.url

    def post(self, path: str, body: bytes, kind: type[Answer]) -> Answer:
        """Return the decoded answer; raises `BenchError` for anything but a success."""
        try:
            return self.client.post(path, body, kind)
        except (ApiError, ServerUnreachable) as error:
            raise BenchError(f"{self.server.name}: {error}") from error

    def usage(self) -> Usage:
        """Sum up over the server's processes."""
        cpu, waiting = 0, 0
        for pid in self._processes():
            after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            cpu += int(after_name[11]) + int(after_name[12])
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += int((task / "schedstat").read_text().split()[1])
        return Usage(cpu / TICKS_A_SECOND, waiting / 1e9)

    def memory(self) -> dict[str, int]:
        """Return the worker's resident and proportional set size and all processes', bytes."""
        sizes = [_memory(pid) for pid in self._processes()]
        worker = max(sizes, key=lambda size: size["Rss"])
        return {
            "worker_rss": worker["Rss"],
            "worker_pss": worker["Pss"],
            "all_pss": sum(size["Pss"] for size in sizes),
        }

    def _processes(self) -> list[int]:
        """List the main process and its descendants."""
        pids = [self._process.pid]
        for pid in pids:  # grows while it is walked
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                pids += map(int, children.read_text().split())
        return pids


@contextmanager
def running(server: Server, first_request: tuple[str, bytes]) -> Iterator[RunningServer]:
    """Start `server` on the servers' core, wait for its first right answer, stop it at the end."""
    port = _free_port()
    log = CACHE / f"{server.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(cores()[0]), *(_fill(server.command, port))],
            cwd=HERE.parents[1],
            env=_environment(server, port),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        started = RunningServer(server, port, process)
        _wait_for_answer(started, process, first_request, log)
        yield started
    finally:
        _stop(process)


def _fill(command: tuple[str, ...], port: int) -> list[str]:
    return [part.replace("{port}", str(port)) for part in command]


def _environment(server: Server, port: int) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SHILL_")}
    own = {key: value.replace("{port}", str(port)) for key, value in server.environment.items()}
    return inherited | {"OMP_NUM_THREADS": "1"} | own


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_answer(
    server: RunningServer,
    process: "subprocess.Popen[bytes]",
    request: tuple[str, bytes],
    log: Path,
) -> None:
    deadline = time.monotonic() + START_SECONDS
    problem = "it did not listen"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.post(*request, msgspec.Raw)
        except BenchError as error:
            problem = str(error)
            time.sleep(0.2)
        else:
            return
    raise BenchError(
        f"{server.server.name} did not start ({problem}); the end of its output:\n"
        + "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    )


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _memory(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, *_ in fields}
