"""The servers as processes: each on one core, watched through /proc."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from bench.serving.material import Material, Workload
from bench.serving.prepare import CACHE, HERE, PEERS, BenchError, binary, cores
from flask_app.client import Answer, Client
from flask_app.errors import ApiError, ServerUnreachable
from flask_app.record import FEATURES

START_SECONDS = 60
STOP_SECONDS = 15
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """How to start a server; `{port}` in the command and the environment is replaced.

    Attributes:
        what: What it is, in a line of Markdown.
        framework: Whose environment it needs, a folder of `peers`; empty: the project's own.
        model: What it scores with, a key of `Material.expected`.
        workloads: What it is asked.
        environment: Variables beside those of the bench.
    """

    name: str
    title: str
    what: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    workloads: tuple[Workload, ...]
    framework: str = ""
    model: str = "onnx"

    def workload(self, name: str) -> Workload | None:
        """Return the workload of that name, None if the server has no part in it."""
        return next((workload for workload in self.workloads if workload.name == name), None)


@contextmanager
def own_server(material: Material) -> Iterator[Server]:
    """Describe this project's server, whose log and metrics go at the end."""
    # The log is on a disk as in production, not in memory; the metrics in memory likewise.
    with (
        tempfile.TemporaryDirectory(dir=CACHE) as log,
        tempfile.TemporaryDirectory(dir="/dev/shm") as metrics,
    ):
        yield Server(
            name="shill",
            title="this project, log and metrics on",
            what=(
                "`gunicorn --config python:flask_app.serving.gunicorn_conf` with one worker: "
                "strict validation, every row in the prediction log, metrics"
            ),
            command=(
                str(Path(sys.executable).with_name("gunicorn")),
                "--config=python:flask_app.serving.gunicorn_conf",
            ),
            environment={
                "SHILL_AUTHENTICATION": "off",  # as the peers; bench.keys measures it
                "SHILL_BIND": "127.0.0.1:{port}",
                "SHILL_WORKERS": "1",
                "SHILL_MODEL_STORE": str(material.store),
                "SHILL_LOG_DIR": log,
                "SHILL_METRICS_DIR": metrics,
            },
            workloads=material.workloads,
        )


def fastapi_servers(material: Material) -> list[Server]:
    """List the FastAPI peers, the tuned one last; they take part in everything."""
    uvicorn = (binary("fastapi", "uvicorn"), "--port", "{port}")
    tuned = ["--loop=uvloop", "--http=httptools", "--no-access-log", "--no-proxy-headers"]
    tuned += ["--no-server-header", "--no-date-header"]
    return [
        _peer(
            material,
            name="forest",
            title="FastAPI + pandas + random forest",
            what=(
                "the tutorial pattern: a joblib-dumped forest with scikit-learn's defaults, a "
                "DataFrame a request, uvicorn; checks types only, no log, no metrics"
            ),
            model="forest",
            framework="fastapi",
            command=(*uvicorn, "forest:app"),
            environment={"FOREST": str(material.forest)},
            workloads=material.workloads,
        ),
        _peer(
            material,
            name="fastapi_documented",
            title="FastAPI + ONNX Runtime, as documented",
            what=(
                "the project's own ONNX model and limits behind types for body and answer, "
                "uvicorn's defaults; no log, no metrics"
            ),
            framework="fastapi",
            command=(*uvicorn, "documented:app"),
            workloads=material.workloads,
        ),
        _peer(
            material,
            name="fastapi_onnx",
            title="FastAPI + ONNX Runtime, tuned",
            what=(
                "the project's own ONNX model and limits: pydantic v2 for the body, orjson for "
                "the answer, uvloop, httptools, no middleware, garbage collector out of the way; "
                "no log, no metrics"
            ),
            framework="fastapi",
            command=(*uvicorn, *tuned, "tuned:app"),
            workloads=material.workloads,
        ),
    ]


def model_servers(material: Material) -> list[Server]:
    """List the peers made for serving models; they are asked single rows only."""
    single = material.workloads[0]
    return [
        _peer(
            material,
            name="mlserver",
            title="MLServer",
            what=(
                "the project's own ONNX model as an `MLModel`, asked by the V2 inference protocol "
                "for a tensor of the nine features, without parallel workers or metrics; no "
                "checks, no log"
            ),
            framework="mlserver",
            command=(binary("mlserver", "mlserver"), "start", str(PEERS / "mlserver")),
            environment={"MLSERVER_HOST": "127.0.0.1", "MLSERVER_HTTP_PORT": "{port}"},
            workloads=(single.asked("mlserver", "/v2/models/shill/infer", _tensor),),
        ),
        _peer(
            material,
            name="litserve",
            title="LitServe",
            what=(
                "the project's own ONNX model as a `LitAPI`, one API server and one worker; no "
                "checks, no log, no metrics"
            ),
            framework="litserve",
            command=(binary("litserve", "python"), str(PEERS / "litserve/server.py")),
            environment={"PORT": "{port}"},
            workloads=(single,),
        ),
        _peer(
            material,
            name="bentoml",
            title="BentoML",
            what=(
                "the project's own ONNX model as a service with one worker, types checked by "
                "pydantic; no log"
            ),
            framework="bentoml",
            command=(binary("bentoml", "bentoml"), "serve", "service:Shill", "--port={port}"),
            environment={"BENTOML_HOME": str(CACHE / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"},
            workloads=(single.asked("bentoml", "/predict", lambda record: {"record": record}),),
        ),
        _peer(
            material,
            name="mlflow",
            title="MLflow",
            what=(
                "the project's own ONNX model as a `PythonModel` behind `mlflow models serve`, a "
                "DataFrame a request; no checks, no log, no metrics"
            ),
            framework="mlflow",
            command=(binary("mlflow", "python"), str(PEERS / "mlflow/serve.py")),
            environment={"PORT": "{port}", "MLFLOW_DISABLE_TELEMETRY": "true"},
            workloads=(
                single.asked(
                    "mlflow", "/invocations", lambda record: {"dataframe_records": [record]}
                ),
            ),
        ),
    ]


def _peer(
    material: Material,
    *,
    framework: str,
    environment: Mapping[str, str] = MappingProxyType({}),
    **described: Any,
) -> Server:
    """Describe a peer, whose code and commands are found first, and so is the project's model."""
    commands = Path(binary(framework, "python")).parent
    common = {
        "BUNDLE": str(material.bundle),
        "PATH": os.pathsep.join((str(commands), os.environ["PATH"])),
        "PYTHONPATH": os.pathsep.join((str(PEERS), str(PEERS / framework))),
    }
    return Server(framework=framework, environment=common | dict(environment), **described)


def _tensor(record: dict[str, Any]) -> dict[str, Any]:
    """Ask for one record by the V2 inference protocol."""
    data = [record[name] for name in FEATURES]
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, len(data)], "data": data}
    return {"inputs": [tensor]}


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
def running(server: Server) -> Iterator[RunningServer]:
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
        _wait_for_answer(started, process, log)
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


def _wait_for_answer(server: RunningServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    first = server.server.workloads[0]
    deadline = time.monotonic() + START_SECONDS
    problem = "it did not listen"
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.post(first.path, first.bodies[0], msgspec.Raw)
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
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):  # some leave children behind
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _memory(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, *_ in fields}
