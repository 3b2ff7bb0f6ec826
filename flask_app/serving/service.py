"""What one worker serves, free of any web framework: request body in, response out."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from struct import Struct
from typing import Literal, NamedTuple
from urllib.parse import parse_qs

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from flask_app.log.ids import prediction_ids
from flask_app.log.lines import LoggedLabel, LoggedPrediction
from flask_app.log.retention import Retention
from flask_app.log.segment import LABELS
from flask_app.log.writer import SegmentWriter
from flask_app.model.predictor import Predictor
from flask_app.model.store import ModelStore
from flask_app.record import FEATURES, Record
from flask_app.serving.messages import (
    DRY_RUN,
    FeedbackReceipt,
    Health,
    ModelDescription,
    Prediction,
    Predictions,
    Readiness,
)
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.problems import JSON, Problem, Response
from flask_app.serving.reloader import Reloader
from flask_app.serving.validation import BodyDecoder
from flask_app.settings import Settings

logger = logging.getLogger(__name__)

_features = attrgetter(*FEATURES)
_pack = Struct(f"{len(FEATURES)}d").pack
_encoder = msgspec.json.Encoder()


class LoadedModel:
    """A predictor in use, and its share of the metrics."""

    def __init__(self, predictor: Predictor, metrics: ServiceMetrics) -> None:
        self.predictor = predictor
        self.loaded_at = datetime.now(UTC)
        metrics.use_model(predictor.manifest, self.loaded_at)
        self.shill = metrics.predictions.labels(predictor.version, "shill")
        self.honest = metrics.predictions.labels(predictor.version, "honest")

    def count(self, predictions: list[Prediction]) -> None:
        """Count `predictions` by their outcome."""
        shills = sum(prediction.is_shill_bid for prediction in predictions)
        if shills:
            self.shill.inc(shills)
        if shills < len(predictions):
            self.honest.inc(len(predictions) - shills)


class Operation(NamedTuple):
    """What a request with a body asks for.

    Attributes:
        run: Takes the body, and whether it is a dry run; raises `Problem`.
        predicts: Whether its refusals are those of predictions.
        waits_for_disk: Whether it must be kept off an event loop.
    """

    run: Callable[[bytes, bool], Response]
    predicts: bool = True
    waits_for_disk: bool = False


class RequestHead(NamedTuple):
    """What of a request's head decides how its body is taken."""

    content_type: str
    content_encoding: str
    query: str


class Service:
    """A worker's model, logs and metrics, and the operations of the API on them.

    A dry run is answered as any other request, but neither logged nor counted.

    Attributes:
        operations: Those that take a body, by path.

    Args:
        settings: Limits, and where the logs are.
        store: Where the promoted model comes from.
        metrics: What the operations count and time.
    """

    def __init__(self, settings: Settings, store: ModelStore, metrics: ServiceMetrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.model: LoadedModel | None = None
        self._reloader = Reloader(
            store, settings.look_seconds, metrics, self._use, pinned=settings.model_version
        )
        self.operations = {
            "/predict": Operation(self.predict),
            "/predict_batch": Operation(self.predict_batch),
            "/feedback": Operation(self.feedback, predicts=False, waits_for_disk=True),
        }
        self._decoder = BodyDecoder(settings.max_batch_rows)
        self._predictions = SegmentWriter.from_settings(
            settings.log_dir,
            settings,
            retention=Retention.from_settings(settings),
            on_drop=metrics.log_dropped.inc,
            on_sync_failure=metrics.log_sync_failures.inc,
        )
        self._labels = SegmentWriter.from_settings(
            settings.log_dir / LABELS, settings, on_sync_failure=metrics.log_sync_failures.inc
        )

    def start(self) -> None:
        """Load the promoted model and follow its changes from now on."""
        self._predictions.start()
        self._labels.start()
        self._reloader.start()

    def stop(self) -> None:
        """Stop following, and force the logs to disk."""
        self._reloader.stop()
        self._predictions.close()
        self._labels.close()

    def _use(self, predictor: Predictor) -> None:
        self.model = LoadedModel(predictor, self.metrics)

    def answer(self, operation: Operation, body: bytes, head: RequestHead) -> Response:
        """Run an operation on the `body` of a request; every failure becomes problem details."""
        dry_run = False
        try:
            dry_run = bool(head.query) and is_dry_run(head.query)
            check_media_type(head.content_type, head.content_encoding)
            return operation.run(body, dry_run)
        except Problem as raised:
            problem = raised
        except Exception:
            logger.exception("a request failed")
            problem = Problem("internal-error", "the request failed")
        return problem.response if dry_run else self.refuse(operation, problem)

    def refuse(self, operation: Operation, problem: Problem) -> Response:
        """Count a refusal if it is one of predictions, and return the answer to it."""
        if operation.predicts:
            self.metrics.prediction_errors.labels(problem.name).inc()
        return problem.response

    def predict(self, body: bytes, dry_run: bool) -> Response:
        """Score one record."""
        (prediction,) = self._score(self._decoder.one(body), dry_run)
        return _json(prediction)

    def predict_batch(self, body: bytes, dry_run: bool) -> Response:
        """Score an array of records; all of them or none."""
        return _json(Predictions(self._score(self._decoder.many(body), dry_run)))

    def _score(self, records: list[Record], dry_run: bool) -> list[Prediction]:
        model = self._current_model()
        predictor = model.predictor
        rows = features(records)
        began = time.perf_counter()
        scores = predictor.predict(rows)
        seconds = time.perf_counter() - began
        probabilities: list[float] = scores.tolist()
        version, threshold = predictor.version, predictor.threshold
        if not all(0.0 <= probability <= 1.0 for probability in probabilities):  # nor is NaN
            raise Problem("invalid-score", f"model {version} gave a score that is no probability")
        predictions = [
            Prediction(
                prediction_id=identifier,
                prediction=1 if probability >= threshold else 0,
                is_shill_bid=probability >= threshold,
                probability=probability,
                threshold=threshold,
                model_version=version,
            )
            for identifier, probability in zip(
                prediction_ids(len(records)), probabilities, strict=True
            )
        ]
        if not dry_run:
            self.metrics.inference.observe(seconds)
            self.metrics.probability.observe_many(scores)
            model.count(predictions)
            self._log(records, predictions)
        return predictions

    def _log(self, records: list[Record], predictions: list[Prediction]) -> None:
        """Hand the predictions to the kernel before they are answered."""
        now = datetime.now(UTC)
        lines = [
            LoggedPrediction(
                prediction_id=prediction.prediction_id,
                at=now,
                model_version=prediction.model_version,
                record=record,
                probability=prediction.probability,
                prediction=prediction.prediction,
                threshold=prediction.threshold,
            )
            for record, prediction in zip(records, predictions, strict=True)
        ]
        self._predictions.append(_encoder.encode_lines(lines), len(lines))

    def feedback(self, body: bytes, dry_run: bool) -> Response:
        """Record labels, on disk before the answer; sending them again changes nothing."""
        labels = self._decoder.labels(body)
        if dry_run:
            return _json(FeedbackReceipt(recorded=0))
        now = datetime.now(UTC)
        lines = [
            LoggedLabel(
                prediction_id=label.prediction_id,
                is_shill=label.is_shill,
                labelled_at=now if label.labelled_at is UNSET else label.labelled_at,
                at=now,
            )
            for label in labels
        ]
        if not self._labels.append(_encoder.encode_lines(lines), len(lines), durable=True):
            raise Problem("log-unavailable", f"no label was recorded: {self._labels.failure}")
        return _json(FeedbackReceipt(recorded=len(lines)))

    def health(self) -> Response:
        """Tell that the process answers."""
        return _json(Health())

    def readiness(self) -> Response:
        """Tell whether predictions can be served."""
        model = self._current_model()
        if not self._predictions.check():
            raise Problem("not-ready", f"the prediction log: {self._predictions.failure}")
        return _json(
            Readiness(
                model_version=model.predictor.version,
                prediction_log=self._log_state(),
                release=self.settings.release,
            )
        )

    def _log_state(self) -> Literal["writing", "dropping", "not-synced"]:
        if self._predictions.failure:
            return "dropping"
        return "not-synced" if self._predictions.sync_failure else "writing"

    def describe_model(self) -> Response:
        """Tell what the model in use is, and how good."""
        model = self._current_model()
        manifest = model.predictor.manifest
        return _json(
            ModelDescription(
                version=manifest.version,
                created_at=manifest.created_at,
                loaded_at=model.loaded_at,
                estimator=manifest.estimator,
                calibration=manifest.calibration,
                threshold=manifest.threshold,
                metrics=manifest.metrics,
                dataset=manifest.dataset,
                features=manifest.features,
            )
        )

    def _current_model(self) -> LoadedModel:
        if self.model is None:
            raise Problem("not-ready", f"no model is loaded: {self._reloader.obstacle}")
        return self.model


def features(records: list[Record]) -> NDArray[np.float32]:
    """Return the model's input, (n, 9), of `records`."""
    values = b"".join([_pack(*_features(record)) for record in records])
    rows = np.frombuffer(values, np.float64).reshape(-1, len(FEATURES))
    return rows.astype(np.float32)


def is_dry_run(query: str) -> bool:
    """Whether a query string asks for a dry run; `Problem` if it does not say yes or no."""
    values = parse_qs(query, keep_blank_values=True).get(DRY_RUN, ["false"])
    if values not in (["true"], ["false"]):
        raise Problem("bad-request", f"{DRY_RUN} is {', '.join(values)}: set it to true or false")
    return values == ["true"]


def check_media_type(content_type: str, content_encoding: str) -> None:
    """Refuse, with `Problem`, a body that is not plain `application/json`."""
    media_type = content_type.partition(";")[0]
    if media_type.strip().lower() != JSON:
        raise Problem(
            "unsupported-media-type",
            f"Content-Type is {content_type or 'missing'}: send {JSON}",
            headers=(("Accept", JSON),),
        )
    if content_encoding.lower() not in {"", "identity"}:
        raise Problem(
            "unsupported-media-type",
            f"Content-Encoding is {content_encoding}: send the body as it is",
            headers=(("Accept-Encoding", "identity"),),
        )


def _json(message: msgspec.Struct) -> Response:
    return Response(_encoder.encode(message))
