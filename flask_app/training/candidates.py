"""What training compares: functions that make classifiers, and means of several."""

import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from flask_app.errors import TrainingError

_OURS = "flask_app.training.classifiers"


class Classifier(Protocol):
    """What training needs of a classifier; rows are float32 (n, features), labels 0 or 1."""

    def fit(self, rows: NDArray[np.float32], labels: NDArray[np.int8]) -> Self:
        """Fit anew."""

    def predict_proba(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probabilities of honest and of shill, (n, 2)."""


@dataclass(frozen=True)
class Member:
    """A classifier that a candidate is made of.

    Attributes:
        function: MODULE:FUNCTION that takes a seed and returns the classifier unfitted. It is
            imported when it is called: most commands need no scikit-learn.
        weight: In the mean of the candidate's members; their sum is 1.
    """

    function: str
    weight: float = 1.0

    @property
    def name(self) -> str:
        """Of the classifier: the function's."""
        return self.function.rpartition(":")[2]

    @property
    def source(self) -> Path:
        """The file of its module, which is not imported for that."""
        spec = importlib.util.find_spec(self.function.partition(":")[0])
        if spec is None or spec.origin is None:
            raise TrainingError(f"{self.function}: its module has no file: put it into one")
        return Path(spec.origin)

    def make(self, seed: int) -> Classifier:
        """Return the classifier, unfitted."""
        function: Callable[[int], Classifier] = pkgutil.resolve_name(self.function)
        return function(seed)


Candidate = Sequence[Member]
"""The weighted mean of its members' probabilities."""

_REGRESSION = f"{_OURS}:logistic_regression"
_FOREST = f"{_OURS}:random_forest"
_BOOSTING = f"{_OURS}:gradient_boosting"

CANDIDATES: Mapping[str, Candidate] = {
    "logistic_regression": [Member(_REGRESSION)],
    "random_forest": [Member(_FOREST)],
    "gradient_boosting": [Member(_BOOSTING)],
    # Where every tree says 0 a forest ranks nothing; a little regression does.
    "smoothed_forest": [Member(_FOREST, 0.95), Member(_REGRESSION, 0.05)],
}
"""What is compared, the simplest first."""


def chosen(names: Iterable[str]) -> Mapping[str, Candidate]:
    """Return the candidates `names`; all of `CANDIDATES` if there are none.

    Args:
        names: Keys of `CANDIDATES`, or MODULE:FUNCTION of your own, see `Member`.

    Raises:
        TrainingError: There is no such candidate, or two have one name.
    """
    found: dict[str, Candidate] = {}
    for text in names:
        candidate = CANDIDATES.get(text) or [_own(text)]
        name = text.rpartition(":")[2]
        if name in found or (name in CANDIDATES and name != text):
            raise TrainingError(
                f"SHILL_CANDIDATES: two candidates are named {name}: rename the function of {text}"
            )
        found[name] = candidate
    return found or CANDIDATES


def _own(function: str) -> Member:
    if ":" not in function:
        raise TrainingError(
            f"SHILL_CANDIDATES: there is no candidate {function!r}: give {', '.join(CANDIDATES)} "
            "or MODULE:FUNCTION of your own"
        )
    try:
        found = pkgutil.resolve_name(function)
    except (ImportError, AttributeError, ValueError) as error:
        raise TrainingError(
            f"SHILL_CANDIDATES: {function} cannot be imported ({error}): install its package, or "
            "name its directory in PYTHONPATH"
        ) from None
    if not inspect.isfunction(found):
        raise TrainingError(
            f"SHILL_CANDIDATES: {function} is no function: give one that takes a seed and returns "
            "an unfitted classifier"
        )
    return Member(function)
