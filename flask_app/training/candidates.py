"""The estimators that training compares."""

from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class Classifier(Protocol):
    """What training needs of an estimator; rows are float32 (n, 9), labels 0 or 1."""

    def fit(self, rows: NDArray[np.float32], labels: NDArray[np.int8]) -> Self:
        """Fit anew."""

    def predict_proba(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probabilities of honest and of shill, (n, 2)."""


def _logistic_regression(seed: int) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(random_state=seed, max_iter=1000))


def _random_forest(seed: int) -> Any:
    # Every feature at each split: with the usual root of them the Brier score triples. A power of
    # two of fully grown trees makes their mean exact in float32, so ONNX gives equal bits.
    return RandomForestClassifier(n_estimators=128, max_features=None, random_state=seed)


def _gradient_boosting(seed: int) -> Any:
    # As good as 300 trees of depth 4, in a third of the time.
    return GradientBoostingClassifier(
        n_estimators=100, max_depth=6, subsample=0.8, random_state=seed
    )


CANDIDATES: dict[str, Callable[[int], Classifier]] = {
    "logistic_regression": _logistic_regression,
    "random_forest": _random_forest,
    "gradient_boosting": _gradient_boosting,
}
"""By name, a function of the seed; each is in what skl2onnx converts."""
