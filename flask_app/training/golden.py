"""Chooses the rows by which a bundle's model is recognised."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flask_app.model.bundle import GoldenRow
from flask_app.record import FEATURES

_ROWS = 21
_LEVELS = 8

Rows = NDArray[np.float32]


def golden_rows(
    rows: Rows, score: Callable[[Rows], NDArray[np.float64]], threshold: float
) -> tuple[GoldenRow, ...]:
    """Choose about twenty distinct rows, and give each its probability.

    They are the extremes of the features' ranges, rows of `rows` from the lowest probability to the
    highest, and the rows of it that lie nearest to the threshold.

    Args:
        rows: Training data, float32 (n, 9).
        score: The published probability of rows.
        threshold: At or above it a row is called shill.
    """
    distinct = np.unique(rows, axis=0)
    probabilities = score(distinct)
    _, levels = np.unique(probabilities, return_index=True)
    spread = levels[np.linspace(0, len(levels) - 1, _LEVELS).round().astype(int)]
    chosen = np.unique(np.concatenate([_extremes(distinct), distinct[spread]]), axis=0)
    # A model with few levels has fewer rows so far, and gets more of these.
    nearest = distinct[np.argsort(np.abs(probabilities - threshold), kind="stable")]
    there = {row.tobytes() for row in chosen}
    others = np.array([row.tobytes() not in there for row in nearest])
    chosen = np.concatenate([chosen, nearest[others][: _ROWS - len(chosen)]])
    chosen = np.unique(chosen, axis=0)
    return tuple(
        GoldenRow(
            # The shortest decimal that is this float32, as a client would send it.
            features={name: float(str(x)) for name, x in zip(FEATURES, row, strict=True)},
            probability=float(probability),
        )
        for row, probability in zip(chosen, score(chosen), strict=True)
    )


def _extremes(rows: Rows) -> Rows:
    """Least, greatest and median values, and each way of least against greatest in halves."""
    least, greatest = rows.min(axis=0), rows.max(axis=0)
    odd = np.arange(rows.shape[1]) % 2 == 1
    return np.stack(
        [
            least,
            greatest,
            np.median(rows, axis=0).astype(np.float32),
            np.where(odd, least, greatest),
            np.where(odd, greatest, least),
        ]
    )
