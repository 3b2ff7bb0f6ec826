"""What makes a measurement count: right answers, and a log and metrics that were really on."""

import re
from typing import Any

import numpy as np
import requests
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
    for workload in material.workloads:
        count = SINGLE_REQUESTS if workload.rows_a_request == 1 else BATCH_REQUESTS
        for body, rows in zip(workload.bodies[:count], workload.rows[:count], strict=True):
            answer = _probabilities(server.post(workload.path, body))
            if answer.shape != (len(rows),) or not np.all(
                np.abs(answer - expected[list(rows)]) <= TOLERANCE
            ):
                raise BenchError(
                    f"{server.server.name}, {workload.path}: other probabilities than its model's"
                )


def check_bookkeeping(server: RunningServer, acknowledged_rows: int) -> None:
    """Check that this project's server counted and logged every row; raises `BenchError`."""
    metrics = requests.get(server.url + "/metrics", timeout=30).text
    counted = _total(metrics, "shill_predictions_total")
    dropped = _total(metrics, "shill_prediction_log_dropped_total")
    if counted < acknowledged_rows or dropped:
        raise BenchError(
            f"{acknowledged_rows} rows were answered, {counted:.0f} are in the metrics and "
            f"{dropped:.0f} were dropped from the prediction log"
        )


def _probabilities(answer: dict[str, Any]) -> NDArray[np.float64]:
    predictions = answer.get("predictions", [answer])
    return np.array([prediction["probability"] for prediction in predictions])


def _total(metrics: str, name: str) -> float:
    samples = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", metrics, flags=re.MULTILINE)
    return sum(map(float, samples))
