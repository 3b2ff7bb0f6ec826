"""What an answer costs inside one process, without a server: its parts, in a hot loop."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from unittest.mock import patch

from bench.serving.material import Material, Workload
from bench.serving.prepare import CACHE
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import Predictor
from flask_app.profiles.snapshot import Snapshot
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.problems import JSON
from flask_app.serving.service import RequestHead, Service
from flask_app.serving.validation import BodyDecoder
from flask_app.settings import Settings
from flask_app.store.directory_store import DirectoryStore

REQUESTS = 1000
"""Most requests of a workload that are timed."""
_HEAD = RequestHead(JSON, "", "")


def inside_ms(material: Material, workload: Workload) -> dict[str, float]:
    """Time a request's parts by themselves: median processor time, ms.

    Returns:
        "decoding": validation, and the rows for model and log; "model": the ONNX model; "all": the
        whole answer, with log and metrics.
    """
    requests = range(min(REQUESTS, len(workload.bodies)))
    predictor = Predictor.load(material.bundle)
    features = [material.features[list(workload.rows[number])] for number in requests]
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        environment = {"SHILL_LOG_DIR": scratch, "SHILL_METRICS_DIR": scratch}
        with patch.dict(os.environ, environment):
            settings = Settings.from_environment()
        decoder = BodyDecoder(settings.max_batch_rows)
        store = DirectoryStore(material.store, Bundle)
        profiles = DirectoryStore(Path(scratch) / "profiles", Snapshot)
        service = Service(settings, store, profiles, ServiceMetrics(Path(scratch)))
        service.start()
        operation = service.operations[workload.path]
        loop = asyncio.new_event_loop()

        def decode(number: int) -> object:
            body = workload.bodies[number]
            if workload.rows_a_request == 1:
                return decoder.one(body)
            return list(decoder.slices(body))

        def answer(number: int) -> object:
            body = workload.bodies[number]
            return loop.run_until_complete(service.answer(operation, body, _HEAD))

        try:
            return {
                "decoding": _median_ms(requests, decode),
                "model": _median_ms(requests, lambda number: predictor.predict(features[number])),
                "all": _median_ms(requests, answer),
            }
        finally:
            loop.close()
            service.stop()


def _median_ms(requests: range, work: Callable[[int], object]) -> float:
    samples = []
    for number in requests:
        began = time.process_time()
        work(number)
        samples.append(1000 * (time.process_time() - began))
    return median(samples)
