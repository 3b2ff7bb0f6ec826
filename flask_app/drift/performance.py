"""How good predictions are: expected before labels come, counted once they have."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

PERFORMANCE_METRICS = ("accuracy", "precision", "recall", "f1")


class Performance(msgspec.Struct, frozen=True):
    """The metrics of `PERFORMANCE_METRICS`; None where one is undefined, as without rows."""

    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None


def estimated(probabilities: NDArray[np.floating[Any]], threshold: float) -> Performance:
    """Return what to expect of rows that are called shill at `threshold` (CBPE).

    A row of probability p counts as p of a shill and 1 - p of an honest bidder. That holds as long
    as probabilities are calibrated: where the mix of rows changes, but not where the meaning of a
    row does (concept drift).
    """
    called = probabilities >= threshold
    return _performance(np.asarray(probabilities, np.float64), called, np.ones(len(called)))


def labelled(
    labels: NDArray[np.integer[Any]],
    predictions: NDArray[np.integer[Any]],
    weights: NDArray[np.floating[Any]] | None = None,
) -> Performance:
    """Compare `labels` with `predictions`, all (n,), 1 for shill.

    Each counts for as many rows as its weight says, one by default, so that a random sample of what
    was not flagged speaks for the rest. Source: Horvitz and Thompson (1952).
    """
    each = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    return _performance(np.asarray(labels, np.float64), np.asarray(predictions, bool), each)


def _performance(
    shill: NDArray[np.float64], called: NDArray[np.bool_], weights: NDArray[np.float64]
) -> Performance:
    """Compute the metrics of rows that are shill by a share and called so or not."""
    shills = weights * shill
    true_positives, positives, calls = shills[called].sum(), shills.sum(), weights[called].sum()
    wrong = positives + calls - 2 * true_positives
    return Performance(
        accuracy=_ratio(weights.sum() - wrong, weights.sum()),
        precision=_ratio(true_positives, calls),
        recall=_ratio(true_positives, positives),
        f1=_ratio(2 * true_positives, positives + calls),
    )


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
