"""What is served and sent: the model bundle, the tutorial's forest, requests with right answers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from bench.serving.prepare import CACHE, HERE
from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES
from flask_app.settings import Settings
from flask_app.training import source

MODELS = HERE.parents[1] / "models"
SEED = 0
BATCH_ROWS = 1000
BATCHES = 32


@dataclass(frozen=True)
class Workload:
    """Distinct request bodies of one kind, and which rows of the dataset each holds.

    Attributes:
        name: What it is called in the report.
        path: Where they are sent.
        connections: Over how many connections at once.
        bodies: The bodies.
        rows: The rows of the dataset in each.
        file: The bodies, one a line.
    """

    name: str
    path: str
    connections: int
    bodies: tuple[bytes, ...]
    rows: tuple[tuple[int, ...], ...]
    file: Path

    @property
    def rows_a_request(self) -> int:
        """How many records a request holds."""
        return len(self.rows[0])

    def asked(self, server: str, path: str, body_of: Callable[[dict[str, Any]], Any]) -> "Workload":
        """Ask the same of a server that wants a record in a body of its own, at its own path."""
        contents = [body_of(json.loads(body)) for body in self.bodies]
        return replace(self, path=path, **write_bodies(server, contents))


@dataclass(frozen=True)
class Material:
    """Everything the servers and the load generator are given.

    Attributes:
        store: Model store with the bundle in production.
        bundle: The bundle's directory.
        forest: The tutorial's model, joblib.
        features: The dataset as the model takes it, (n, 9).
        expected: By model ("onnx", "forest"): the probability of each row of the dataset.
        workloads: Single rows over ever more connections, then batches.
    """

    store: Path
    bundle: Path
    forest: Path
    features: NDArray[np.float32]
    expected: dict[str, NDArray[np.float64]]
    workloads: tuple[Workload, ...]


def make_material() -> Material:
    """Train both models on the dataset that the settings name and write the requests."""
    # Into the store of `make bundle`, which trains the same, and from there into one of our own.
    version = _shill("train", store=MODELS).split()[0]
    trained = _shill("model", "path", version, store=MODELS)
    store = CACHE / "models"
    shutil.rmtree(store, ignore_errors=True)
    _shill("model", "publish", trained, store=store)
    _shill("model", "promote", version, store=store)
    bundle = Path(_shill("model", "path", store=store))

    frame = source.load(Settings.from_environment()).frame
    forest = RandomForestClassifier(random_state=SEED).fit(frame[list(FEATURES)], frame["is_shill"])
    joblib.dump(forest, CACHE / "forest.joblib")

    rows = frame[list(FEATURES)].to_numpy(np.float32)
    return Material(
        store=store,
        bundle=bundle,
        forest=CACHE / "forest.joblib",
        features=rows,
        expected={
            "onnx": Predictor.load(bundle).predict(rows),
            "forest": forest.predict_proba(frame[list(FEATURES)])[:, 1],
        },
        workloads=_workloads(frame.drop(columns="is_shill").to_dict("records")),
    )


def _shill(*arguments: str, store: Path) -> str:
    """Run a command of the project on `store`; returns the last line it printed."""
    command = subprocess.run(
        [sys.executable, "-m", "flask_app", *arguments],
        cwd=HERE.parents[1],
        env=os.environ | {"SHILL_MODEL_STORE": str(store)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return command.stdout.splitlines()[-1]


def _workloads(records: list[dict[Any, Any]]) -> tuple[Workload, ...]:
    random = np.random.default_rng(SEED)
    order = random.permutation(len(records)).tolist()
    draws = [random.choice(len(records), BATCH_ROWS).tolist() for _ in range(BATCHES)]
    singles = [records[row] for row in order]
    batches = [[records[row] for row in draw] for draw in draws]
    return (
        _workload("one row", "/predict", 16, singles, [[row] for row in order]),
        _workload("one row, 64 connections", "/predict", 64, singles, [[row] for row in order]),
        _workload("one row, 1 connection", "/predict", 1, singles, [[row] for row in order]),
        _workload(f"{BATCH_ROWS:,} rows", "/predict_batch", 16, batches, draws),
    )


def _workload(
    name: str, path: str, connections: int, contents: list[Any], rows: list[list[int]]
) -> Workload:
    written = write_bodies(path.strip("/"), contents)
    return Workload(name, path, connections, rows=tuple(map(tuple, rows)), **written)


def write_bodies(name: str, contents: list[Any]) -> dict[str, Any]:
    """Write bodies to a file, one a line; returns both."""
    bodies = tuple(json.dumps(content).encode() for content in contents)
    file = CACHE / f"{name}.jsonl"
    file.write_bytes(b"\n".join(bodies) + b"\n")
    return {"bodies": bodies, "file": file}
