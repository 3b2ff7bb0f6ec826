"""The model in use: scores rows, makes predictions of the scores and counts them."""

import heapq
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

import msgspec
import numpy as np

from flask_app.log.ids import prediction_ids
from flask_app.model.bands import NAMES, name_of
from flask_app.model.predictor import Predictor
from flask_app.model.reasons import Explainer
from flask_app.serving.messages import MAX_EXPLAINED, Prediction
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.problems import Problem
from flask_app.serving.rows import Rows


class Scores(NamedTuple):
    """The result of one run of the model.

    Attributes:
        probabilities: Probability of shill, (n,), each within [0, 1].
        seconds: How long the run took, s.
    """

    probabilities: list[float]
    seconds: float


class LoadedModel:
    """A predictor in use, and its share of the metrics.

    Attributes:
        predictor: The model.
        loaded_at: Since when it is in use.
        review_from: Probability from which on a record is to be reviewed.
    """

    def __init__(self, predictor: Predictor, metrics: ServiceMetrics) -> None:
        self.predictor = predictor
        self.loaded_at = datetime.now(UTC)
        self._explainer = Explainer(predictor)
        self._metrics = metrics
        metrics.use_model(predictor.manifest, self.loaded_at)
        self._shill = metrics.predictions.labels(predictor.version, "shill")
        self._honest = metrics.predictions.labels(predictor.version, "honest")
        bands = predictor.manifest.bands
        self.review_from = bands.review.threshold
        self._block_from = bands.block.threshold
        self._bands = [metrics.bands.labels(name) for name in NAMES]

    def score(self, rows: Rows) -> Scores:
        """Run the model on `rows`; raises `Problem` if a score is no probability."""
        began = time.perf_counter()
        scores = self.predictor.predict(rows.features)
        seconds = time.perf_counter() - began
        probabilities: list[float] = scores.tolist()
        if not all(0.0 <= probability <= 1.0 for probability in probabilities):  # nor is NaN
            raise Problem(
                "invalid-score",
                f"model {self.predictor.version} gave a score that is no probability",
            )
        return Scores(probabilities, seconds)

    def predictions(self, scores: Scores) -> list[Prediction]:
        """Make a prediction, with a new id, of each of `scores`."""
        version, threshold = self.predictor.version, self.predictor.threshold
        return [
            Prediction(
                prediction_id=identifier,
                prediction=1 if probability >= threshold else 0,
                is_shill_bid=probability >= threshold,
                probability=probability,
                threshold=threshold,
                model_version=version,
            )
            for identifier, probability in zip(
                prediction_ids(len(scores.probabilities)), scores.probabilities, strict=True
            )
        ]

    def explained(
        self, rows: Rows, predictions: Iterable[Prediction], least: float = 0.0
    ) -> Iterator[Prediction]:
        """Yield the predictions of `rows` with their bands; those from `least` on with reasons.

        Each of the latter takes a millisecond or two.
        """
        bands = self.predictor.manifest.bands
        for features, prediction in zip(rows.features, predictions, strict=True):
            band = name_of(prediction.probability, bands)
            if prediction.probability < least:
                yield msgspec.structs.replace(prediction, band=band)
            else:
                (reasons,) = self._explainer.reasons(features[np.newaxis].astype(np.float64))
                yield msgspec.structs.replace(prediction, band=band, reasons=reasons)

    def count(self, scores: Scores) -> None:
        """Count and time a run whose predictions are answered."""
        self._metrics.inference.observe(scores.seconds)
        self._metrics.probability.observe_many(scores.probabilities)
        threshold = self.predictor.threshold
        shills = sum(probability >= threshold for probability in scores.probabilities)
        if shills:
            self._shill.inc(shills)
        if shills < len(scores.probabilities):
            self._honest.inc(len(scores.probabilities) - shills)
        flagged = sum(probability >= self.review_from for probability in scores.probabilities)
        blocked = sum(probability >= self._block_from for probability in scores.probabilities)
        counts = (len(scores.probabilities) - flagged, flagged - blocked, blocked)
        for band, count in zip(self._bands, counts, strict=True):
            if count:
                band.inc(count)


def least_explained(scores: Iterable[Scores]) -> float:
    """Return the probability from which on the records of a request are explained."""
    highest = heapq.nlargest(MAX_EXPLAINED + 1, chain(*(one.probabilities for one in scores)))
    if len(highest) <= MAX_EXPLAINED:
        return 0.0
    # Of equals, all or none: nobody could tell why one has reasons and the other has not.
    return float(np.nextafter(highest[-1], 2.0))
