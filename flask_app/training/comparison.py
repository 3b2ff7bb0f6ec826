"""Compares a candidate with the model in production, on the candidate's training data.

No model is judged on what it was trained on: a record that it knows has its out-of-fold prediction,
any other one what the model says of it. Auctions are resampled, the same ones for both models,
because the records of one auction are not independent (paired cluster bootstrap).
Source: Davison and Hinkley (1997), sections 2.4 and 3.8.
"""

import io

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flask_app.model import bundle
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES

MARGIN = 0.01
"""By how much less F1 a candidate may have, at the interval's lower end."""
RESAMPLES = 2000
LEVEL = 0.95

_KEY = ["auction_id", *FEATURES]


class Comparison(msgspec.Struct, frozen=True):
    """F1 of two models on the same records.

    Attributes:
        auctions: How many auctions the records are of.
        candidate: F1 of the candidate.
        production: F1 of the model in production.
        low: Lower bound of the interval that holds the difference with a probability of `LEVEL`.
        high: Upper bound.
    """

    auctions: int
    candidate: float
    production: float
    low: float
    high: float

    @property
    def is_acceptable(self) -> bool:
        """Whether the candidate is at least as good, but for `MARGIN`."""
        return self.low >= -MARGIN

    def __str__(self) -> str:
        return (
            f"F1 {self.candidate:.4f} against {self.production:.4f} of the model in production, on "
            f"the same {self.auctions:,} auctions: {self.candidate - self.production:+.4f}, "
            f"{LEVEL:.0%} interval {self.low:+.4f} to {self.high:+.4f}"
        )


def compare(candidate: Bundle, production: Bundle, seed: int = 0) -> Comparison:
    """Compare two verified bundles by F1.

    Args:
        candidate: Its training data are what both are compared on.
        production: Its own training data tell which of these records it knows.
        seed: Of the resampling.
    """
    records = _reference(candidate)
    labels = records["is_shill"].to_numpy(bool)
    called = records["prediction"].to_numpy(bool), _call(production, records)
    auctions, place = np.unique(records["auction_id"].to_numpy(str), return_inverse=True)
    counts = np.stack([_count(place, labels, calls) for calls in called], axis=1)

    random = np.random.default_rng(seed)
    draws = np.empty((RESAMPLES, 2))
    for number in range(RESAMPLES):
        draws[number] = _f1(counts[random.integers(len(auctions), size=len(auctions))].sum(axis=0))
    low, high = np.nanquantile(draws[:, 0] - draws[:, 1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    f1 = _f1(counts.sum(axis=0))
    return Comparison(len(auctions), float(f1[0]), float(f1[1]), float(low), float(high))


def _reference(of: Bundle) -> pd.DataFrame:
    """Return the training data with out-of-fold predictions."""
    records = pd.read_parquet(io.BytesIO(of.read(bundle.REFERENCE)))
    if "prediction" not in records:  # of an earlier release
        records["prediction"] = records["probability"] >= of.manifest.threshold.value
    return records


def _call(production: Bundle, records: pd.DataFrame) -> NDArray[np.bool_]:
    """Return what it calls shill, out of fold for the records that it was trained on."""
    known = _reference(production).drop_duplicates(_KEY)[[*_KEY, "prediction"]]
    merged = records[_KEY].merge(known, on=_KEY, how="left")["prediction"]
    predictor = Predictor.load(production.directory)
    called = predictor.predict(records[list(FEATURES)].to_numpy(np.float32)) >= predictor.threshold
    return np.where(merged.isna(), called, merged == 1)


def _count(
    auction: NDArray[np.intp], labels: NDArray[np.bool_], called: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Count the true positives, and the positives and calls together, (auctions, 2)."""
    both = np.bincount(auction, labels & called)
    return np.stack([both, np.bincount(auction, labels.astype(float) + called)], axis=1)


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return F1 of each model from its sums, (2, 2); not a number without positives and calls."""
    with np.errstate(invalid="ignore"):
        return 2 * counts[:, 0] / counts[:, 1]
