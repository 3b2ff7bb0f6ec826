"""What one worker serves, free of any web framework: request body in, response out."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from struct import Struct

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from flask_app.model.predictor import Predictor
from flask_app.model.store import ModelStore
from flask_app.prediction_log import (
    LABELS,
    LoggedLabel,
    LoggedPrediction,
    SegmentWriter,
    prediction_ids,
)
from flask_app.record import FEATURES, Record
from flask_app.serving.messages import (
    Feedback,
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
from flask_app.serving.validation import RecordDecoder, explain
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


class Service:
    """A worker's model, logs and metrics, and the operations of the API on them.

    An operation takes a request body and returns the response, or raises `Problem`.

    Args:
        settings: Limits, and where the logs are.
        store: Where the promoted model comes from.
        metrics: What the operations count and time.
    """

    def __init__(self, settings: Settings, store: ModelStore, metrics: ServiceMetrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.model: LoadedModel | None = None
        self._reloader = Reloader(store, settings.look_seconds, metrics, self._use)
        self._decoder = RecordDecoder(settings.max_batch_rows)
        self._predictions = SegmentWriter.from_settings(
            settings.log_dir, settings, on_drop=metrics.log_dropped.inc
        )
        self._labels = SegmentWriter.from_settings(settings.log_dir / LABELS, settings)

    def start(self) -> None:
        """Load the promoted model and follow its changes from now on."""
        self._reloader.start()

    def stop(self) -> None:
        """Stop following, and force the logs to disk."""
        self._reloader.stop()
        self._predictions.close()
        self._labels.close()

    def _use(self, predictor: Predictor) -> None:
        self.model = LoadedModel(predictor, self.metrics)

    def answer(
        self,
        operation: Callable[[bytes], Response],
        body: bytes,
        content_type: str,
        content_encoding: str,
    ) -> Response:
        """Run a prediction on the `body` of a request; every failure becomes problem details."""
        try:
            check_media_type(content_type, content_encoding)
            return operation(body)
        except Problem as problem:
            return self.refuse(problem)
        except Exception:
            logger.exception("a prediction failed")
            return self.refuse(Problem("internal-error", "the prediction failed"))

    def refuse(self, problem: Problem) -> Response:
        """Count a refused prediction and return the answer to it."""
        self.metrics.prediction_errors.labels(problem.name).inc()
        return problem.response

    def predict(self, body: bytes) -> Response:
        """Score one record."""
        (prediction,) = self._score(self._decoder.one(body))
        return _json(prediction)

    def predict_batch(self, body: bytes) -> Response:
        """Score an array of records; all of them or none."""
        return _json(Predictions(self._score(self._decoder.many(body))))

    def _score(self, records: list[Record]) -> list[Prediction]:
        model = self._current_model()
        predictor = model.predictor
        rows = features(records)
        began = time.perf_counter()
        scores = predictor.predict(rows)
        self.metrics.inference.observe(time.perf_counter() - began)
        self.metrics.probability.observe_many(scores)
        version, threshold = predictor.version, predictor.threshold
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
                prediction_ids(len(records)), scores.tolist(), strict=True
            )
        ]
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

    def feedback(self, body: bytes) -> Response:
        """Record labels, on disk before the answer; sending them again changes nothing."""
        feedback: Feedback = explain(body, Feedback)
        now = datetime.now(UTC)
        lines = [
            LoggedLabel(
                prediction_id=label.prediction_id,
                is_shill=label.is_shill,
                labelled_at=now if label.labelled_at is UNSET else label.labelled_at,
                at=now,
            )
            for label in feedback.labels
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
                prediction_log="dropping" if self._predictions.failure else "writing",
                release=self.settings.release,
            )
        )

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
    with np.errstate(over="ignore"):  # a duration beyond float32 is as good as infinite
        return rows.astype(np.float32)


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
