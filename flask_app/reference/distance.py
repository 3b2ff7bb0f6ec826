"""How far a window of one feature is from the reference, and what an outlier may add to it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

SMALLEST_SCALE = 0.001
"""Distances are in standard deviations of the reference, or in these where it hardly has any."""

_TAIL = 0.001

Rows = NDArray[np.floating[Any]]
"""(n, features), or (n,) for one feature."""


def limits(reference: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and the highest value that counts, feature by feature.

    Clip reference and window to them, `np.clip(rows, *limits(reference))`, before their distance is
    taken. They are the range of the middle 99.8 % of the reference, extended on both sides by its
    standard deviation. So one absurd value counts little more than an extreme one, be it in the
    window or in the reference, where it would inflate the standard deviation; and a window that as
    a whole lies beyond the range still has a distance of about 1 at least.
    """
    lowest, highest = np.quantile(reference, [_TAIL, 1 - _TAIL], axis=0)
    margin = scale(np.clip(reference, lowest, highest))
    return lowest - margin, highest + margin


def scale(reference: Rows) -> NDArray[np.float64]:
    """Return the unit of distance, feature by feature."""
    deviation: NDArray[np.float64] = np.std(reference, axis=0, dtype=np.float64)
    return np.maximum(deviation, SMALLEST_SCALE)


def normed_wasserstein(reference: Rows, window: Rows) -> float:
    """Return the Wasserstein-1 distance of one feature in standard deviations of the reference.

    It is what Evidently calls "Wasserstein distance (normed)".
    """
    return float(wasserstein_distance(reference, window) / scale(reference))
