"""The classifiers that training compares; skl2onnx converts each of them."""

from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class Classifier(Protocol):
    """What training needs of a classifier; rows are float32 (n, 9), labels 0 or 1."""

    def fit(self, rows: NDArray[np.float32], labels: NDArray[np.int8]) -> Self:
        """Fit anew."""

    def predict_proba(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probabilities of honest and of shill, (n, 2)."""


Members = Mapping[str, float]
"""What a candidate is the mean of: classifiers by name, each with its weight; the sum is 1."""

CANDIDATES: Mapping[str, Members] = {
    "logistic_regression": {"logistic_regression": 1.0},
    "random_forest": {"random_forest": 1.0},
    "gradient_boosting": {"gradient_boosting": 1.0},
    # Where every tree says 0 a forest ranks nothing; a little regression does.
    "smoothed_forest": {"random_forest": 0.95, "logistic_regression": 0.05},
}
"""What is compared, the simplest first."""


def build(members: Members, seed: int) -> Classifier:
    """Return the unfitted classifier that gives the weighted mean of its members."""
    built = [(name, _build_member(name, seed)) for name in members]
    classifier: Classifier = built[0][1]
    if len(built) > 1:
        classifier = VotingClassifier(
            built,
            voting="soft",
            weights=np.array(list(members.values())),  # skl2onnx takes no list
            flatten_transform=False,  # irrelevant here, but skl2onnx converts no other value
        )
    return classifier


def _build_member(name: str, seed: int) -> Any:
    match name:
        case "logistic_regression":
            return make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))
        case "random_forest":
            # Every feature at each split: with the usual root of them the Brier score triples.
            # A power of two of fully grown trees: their mean is exact in float32, so in ONNX too.
            return RandomForestClassifier(n_estimators=128, max_features=None, random_state=seed)
        case "gradient_boosting":
            # As good as 300 trees of depth 4, in a third of the time.
            return GradientBoostingClassifier(
                n_estimators=100, max_depth=6, subsample=0.8, random_state=seed
            )
    raise ValueError(f"no such member: {name}")
