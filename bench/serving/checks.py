"""What makes a measurement count: right answers, and a log and metrics that were really on."""

import re

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.serving.material import Material
from bench.serving.prepare import BenchError
from bench.serving.servers import RunningServer

TOLERANCE = 1e-6
SINGLE_REQUESTS = 100
BATCH_REQUESTS = 2


def check_answers(server: RunningServer, material: Material) -> None:
    """Compare the server's probabilities with its model's own; raises `BenchError`."""
    expected = material.expected[server.server.model]
    for workload in server.server.workloads:
        count = SINGLE_REQUESTS if workload.rows_a_request == 1 else BATCH_REQUESTS
        for body, rows in zip(workload.bodies[:count], workload.rows[:count], strict=True):
            answer = _probabilities(server.post(workload.path, body, _Answer))
            if answer.shape != (len(rows),) or not np.all(
                np.abs(answer - expected[list(rows)]) <= TOLERANCE
            ):
                raise BenchError(
                    f"{server.server.name}, {workload.path}: other probabilities than its model's"
                )


def check_bookkeeping(server: RunningServer, acknowledged_rows: int) -> None:
    """Check that this project's server counted and logged every row; raises `BenchError`."""
    metrics = server.client.metrics()
    counted = _total(metrics, "shill_predictions_total")
    dropped = _total(metrics, "shill_prediction_log_dropped_total")
    if counted < acknowledged_rows or dropped:
        raise BenchError(
            f"{acknowledged_rows} rows were answered, {counted:.0f} are in the metrics and "
            f"{dropped:.0f} were dropped from the prediction log"
        )


class _Scored(msgspec.Struct):
    """The part of a prediction that peers answer, too."""

    probability: float


class _Tensor(msgspec.Struct):
    """An output of the V2 inference protocol."""

    data: list[float]


class _Answer(msgspec.Struct):
    """One prediction, or several."""

    probability: float | None = None
    predictions: list[_Scored] = []
    outputs: list[_Tensor] = []


def _probabilities(answer: _Answer) -> NDArray[np.float64]:
    single = [] if answer.probability is None else [answer.probability]
    scored = [prediction.probability for prediction in answer.predictions]
    tensors = [probability for output in answer.outputs for probability in output.data]
    return np.array([*single, *scored, *tensors])


def _total(metrics: str, name: str) -> float:
    samples = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", metrics, flags=re.MULTILINE)
    return sum(map(float, samples))
