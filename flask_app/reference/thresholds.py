"""At which distance a window has drifted: thresholds by feature and by size of the window.

Rows of one auction depend on each other, so auctions are resampled, never rows. A resample is the
world without drift played once more: the reference is drawn anew from the auctions at hand, and so
is the *market* at the time of the window, as large as the reference; the window is drawn from that
market. So three things may be unlucky, and all three count: the reference, the market of the day,
and the window.

A feature's spread is a high quantile of its distance over the resamples. One factor for all the
spreads of a window size makes the share of resamples in which any feature exceeds factor x spread
the false-alarm rate. So the features' dependence is in it, and nothing is assumed of distributions.
"""

from collections.abc import Sequence
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from flask_app.errors import BundleError
from flask_app.record import FEATURES
from flask_app.reference.distance import limits, scale

FALSE_ALARM_RATE = 0.01
"""Of a run: that any of its features alarms though nothing has drifted."""

WINDOW_ROWS = (200, 500, 2_000, 10_000, 100_000)
RESAMPLES = 6_000

SMALLEST_THRESHOLD = 0.01
"""For features that never vary in the reference."""

# Higher favours features of light tails, lower those of heavy ones; the rate is the same.
_USUAL = 0.8
_BATCH = 128
_DIGITS = 5

Weights = NDArray[np.float32]


class DriftThresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds on `normed_wasserstein` of clipped rows, and what they rest on.

    Attributes:
        false_alarm_rate: That any feature of a window without drift exceeds its threshold.
        resamples: How many times the world without drift was played.
        seed: Of the resampling.
        rows: Of the reference.
        auctions: In the reference.
        window_rows: The sizes of window that were resampled, ascending.
        thresholds: By feature, one for each of `window_rows`, never ascending.
    """

    false_alarm_rate: float
    resamples: int
    seed: int
    rows: int
    auctions: int
    window_rows: tuple[int, ...]
    thresholds: dict[str, tuple[float, ...]]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of the model's inputs."""
        return tuple(self.thresholds)

    def threshold(self, feature: str, rows: int) -> float:
        """Return the distance above which a window of so many rows has drifted in `feature`.

        Between calibrated sizes the square is linear in 1 / rows, as the variance of a mean is:
        reference and market are fixed parts of it. Above the largest size it stays as it is; below
        the smallest it grows with the root of the size lacking.
        """
        thresholds = np.array(self.thresholds[feature])
        if rows < self.window_rows[0]:
            return float(thresholds[0] * np.sqrt(self.window_rows[0] / rows))
        inverse = 1 / np.array(self.window_rows)
        # np.interp wants ascending sizes, so they go in from the largest window to the smallest.
        square = np.interp(1 / rows, inverse[::-1], thresholds[::-1] ** 2)
        return float(np.sqrt(square))

    def to_json(self) -> bytes:
        """Return the content of `drift_calibration.json`; equal calibrations give equal bytes."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read what `to_json` wrote; raises `BundleError`."""
        try:
            return msgspec.json.decode(content, type=cls)
        except msgspec.DecodeError as error:
            raise BundleError(
                f"drift_calibration.json is not a calibration ({error}): train anew"
            ) from None


def find_thresholds(
    reference: NDArray[np.floating[Any]],
    auctions: NDArray[Any],
    seed: int,
    *,
    features: Sequence[str] = FEATURES,
    resamples: int = RESAMPLES,
) -> DriftThresholds:
    """Find the thresholds that belong to a reference; takes seconds for 6,000 rows.

    Args:
        reference: The training data, (n, features).
        auctions: The auction of each row, (n,).
        seed: Equal arguments give equal thresholds.
        features: Names of the columns.
        resamples: More of them make the thresholds steadier, not lower or higher.
    """
    names, auction = np.unique(auctions, return_inverse=True)
    rows = np.clip(reference, *limits(reference))
    distances = _play_often(rows, auction, resamples, np.random.default_rng(seed))
    usual, rare = np.quantile(distances, [_USUAL, 1 - FALSE_ALARM_RATE], axis=1)
    # At least half of the rare distance, lest a feature that hardly ever varies decide the factor.
    spreads = np.maximum(np.maximum(usual, rare / 2), np.finfo(float).tiny)
    excess = (distances / spreads[:, np.newaxis]).max(axis=2)
    factors = np.quantile(excess, 1 - FALSE_ALARM_RATE, axis=1)
    thresholds = np.maximum(factors[:, np.newaxis] * spreads, SMALLEST_THRESHOLD)
    # Larger windows have lower thresholds, but for the noise of resampling.
    thresholds = np.maximum.accumulate(thresholds[::-1])[::-1].round(_DIGITS)
    return DriftThresholds(
        false_alarm_rate=FALSE_ALARM_RATE,
        resamples=resamples,
        seed=seed,
        rows=len(reference),
        auctions=len(names),
        window_rows=WINDOW_ROWS,
        thresholds={
            name: tuple(column)
            for name, column in zip(features, thresholds.T.tolist(), strict=True)
        },
    )


def _play_often(
    rows: NDArray[np.floating[Any]],
    auction: NDArray[np.intp],
    resamples: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Return distances without drift, (window sizes, resamples, features)."""
    sizes = np.bincount(auction)
    supports = [
        _Support(column, auction, unit) for column, unit in zip(rows.T, scale(rows), strict=True)
    ]
    distances = np.empty((len(WINDOW_ROWS), resamples, len(supports)))
    for start in range(0, resamples, _BATCH):
        batch = range(start, min(start + _BATCH, resamples))
        plays = np.stack([_play(sizes, random) for _ in batch], axis=-1)
        for number, weights in enumerate(plays):
            for feature, support in enumerate(supports):
                distances[number, batch, feature] = support.distances(weights)
    return distances


def _play(sizes: NDArray[np.intp], random: np.random.Generator) -> Weights:
    """Play the world without drift once.

    Returns:
        (window sizes, auctions): what share of the window each row of an auction makes up, less its
        share of the reference.
    """
    count = len(sizes)
    reference = np.bincount(random.integers(count, size=count), minlength=count)
    market = random.integers(count, size=count)
    weights = np.empty((len(WINDOW_ROWS), count), dtype=np.float32)
    for number, rows in enumerate(WINDOW_ROWS):
        drawn = random.choice(market, max(1, round(rows / sizes.mean())))
        window = np.bincount(drawn, minlength=count)
        weights[number] = window / (window @ sizes) - reference / (reference @ sizes)
    return weights


class _Support:
    """The distinct values of one feature of the reference, and how often each auction has them."""

    def __init__(
        self, column: NDArray[np.floating[Any]], auction: NDArray[np.intp], unit: float
    ) -> None:
        values, place = np.unique(column, return_inverse=True)
        self._gaps = (np.diff(values) / unit).astype(np.float32)
        self._counts = coo_array((np.ones(len(column), np.float32), (place, auction))).tocsr()

    def distances(self, weights: Weights) -> NDArray[np.float32]:
        """Return the Wasserstein-1 distances, (resamples,), of `weights`, (auctions, resamples).

        It is the area between two distribution functions: what they differ by at each value, times
        the gap to the next.
        """
        # Summing up along rows takes a third of the time that it takes along columns.
        differences = np.ascontiguousarray((self._counts @ weights)[:-1].T)
        np.cumsum(differences, axis=1, out=differences)
        np.abs(differences, out=differences)
        distances: NDArray[np.float32] = differences @ self._gaps
        return distances
