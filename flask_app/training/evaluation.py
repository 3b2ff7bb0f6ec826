"""How good predictions are."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

from flask_app.model.bundle import CrossValidationMetrics

Labels = NDArray[np.int8]
Probabilities = NDArray[np.float64]
Predictions = NDArray[np.bool_]


def measure(
    labels: Labels, probabilities: Probabilities, predictions: Predictions
) -> CrossValidationMetrics:
    """Compare `labels`, (n,), of which both kinds occur, with what was predicted for them.

    Args:
        labels: 1 for shill.
        probabilities: Of shill.
        predictions: Whether it was called shill.
    """
    return CrossValidationMetrics(
        roc_auc=float(metrics.roc_auc_score(labels, probabilities)),
        average_precision=float(metrics.average_precision_score(labels, probabilities)),
        f1=float(metrics.f1_score(labels, predictions, zero_division=0)),
        precision=float(metrics.precision_score(labels, predictions, zero_division=0)),
        recall=float(metrics.recall_score(labels, predictions)),
        brier=float(metrics.brier_score_loss(labels, probabilities)),
    )


def measure_folds(
    labels: Labels,
    probabilities: Probabilities,
    predictions: Predictions,
    folds: Sequence[NDArray[np.intp]],
) -> CrossValidationMetrics:
    """Return the means over `folds`, the indices of each; every fold has its own calibration."""
    each = [
        msgspec.structs.astuple(measure(labels[fold], probabilities[fold], predictions[fold]))
        for fold in folds
    ]
    return CrossValidationMetrics(*np.mean(each, axis=0).tolist())
