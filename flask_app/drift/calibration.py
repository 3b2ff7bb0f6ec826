"""At which distance a window has drifted: thresholds by feature and by size of the window.

Rows of one auction depend on each other, so auctions are resampled, never rows. A resample is the
world without drift played once more: the reference is drawn anew from the auctions at hand, and so
is the *market* at the time of the window, as large as the reference; the window is drawn from that
market. So three things may be unlucky, and all three count: the reference, the market of the day,
and the window.

A feature's spread is a high quantile of its distance over the resamples. One factor for all the
spreads of a window size is chosen such that the share of resamples in which any feature exceeds
factor x spread is the false-alarm rate: the features' dependence is in it, and nothing is assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from flask_app.drift.distance import limits, scale
from flask_app.errors import BundleError
from flask_app.record import FEATURES

FALSE_ALARM_RATE = 0.01
"""Of a run: that any of its features alarms though nothing has drifted."""

WINDOW_ROWS = (200, 500, 1_000, 2_000, 5_000, 10_000, 100_000)
RESAMPLES = 4_000

SMALLEST_THRESHOLD = 0.01
"""For features that never vary in the reference."""

_SPREAD_QUANTILE = 0.95
_BATCH = 128
_DIGITS = 5

Weights = NDArray[np.float32]


class DriftCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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


def calibrate(
    reference: NDArray[np.floating[Any]],
    auctions: NDArray[Any],
    seed: int,
    *,
    features: Sequence[str] = FEATURES,
    resamples: int = RESAMPLES,
) -> DriftCalibration:
    """Find the thresholds that belong to a reference; takes seconds for 6,000 rows.

    Args:
        reference: The training data, (n, features).
        auctions: The auction of each row, (n,).
        seed: Equal arguments give equal thresholds.
        features: Names of the columns.
        resamples: More of them make the thresholds steadier, not lower or higher.
    """
    random = np.random.default_rng(seed)
    clipped = np.clip(reference, *limits(reference))
    names, auction = np.unique(auctions, return_inverse=True)
    distances = _resample(
        clipped,
        auction,
        scale(clipped),
        window_rows=WINDOW_ROWS,
        resamples=resamples,
        random=random,
    )
    spreads = np.quantile(distances, _SPREAD_QUANTILE, axis=1)
    spreads = np.maximum(spreads, SMALLEST_THRESHOLD / 2)
    ratios = (distances / spreads[:, np.newaxis]).max(axis=2)
    factors = np.quantile(ratios, 1 - FALSE_ALARM_RATE, axis=1)
    thresholds = np.maximum(factors[:, np.newaxis] * spreads, SMALLEST_THRESHOLD)
    # Larger windows have lower thresholds but for the resamples' noise.
    thresholds = np.maximum.accumulate(thresholds[::-1])[::-1].round(_DIGITS)
    return DriftCalibration(
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


def _resample(
    rows: NDArray[np.floating[Any]],
    auction: NDArray[np.intp],
    scales: NDArray[np.float64],
    *,
    window_rows: Sequence[int],
    resamples: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Return distances without drift, (window sizes, resamples, features)."""
    sizes = np.bincount(auction)
    supports = [
        _Support.of(column, auction, unit) for column, unit in zip(rows.T, scales, strict=True)
    ]
    windows = [max(1, round(rows / sizes.mean())) for rows in window_rows]
    distances = np.empty((len(windows), resamples, len(supports)))
    for start in range(0, resamples, _BATCH):
        batch = slice(start, min(start + _BATCH, resamples))
        drawn = np.stack(
            [_play(sizes, windows, random) for _ in range(batch.start, batch.stop)], axis=-1
        )
        for number, weights in enumerate(drawn):
            for feature, support in enumerate(supports):
                distances[number, batch, feature] = support.distances(weights)
    return distances


def _play(sizes: NDArray[np.intp], windows: Sequence[int], random: np.random.Generator) -> Weights:
    """Play the world without drift once.

    Returns:
        (window sizes, auctions): what share of the window each row of an auction makes up, less its
        share of the reference.
    """
    count = len(sizes)
    reference = np.bincount(random.integers(count, size=count), minlength=count)
    market = random.integers(count, size=count)
    differences = np.empty((len(windows), count), dtype=np.float32)
    for difference, auctions in zip(differences, windows, strict=True):
        window = np.bincount(market[random.integers(count, size=auctions)], minlength=count)
        difference[:] = window / (window @ sizes) - reference / (reference @ sizes)
    return differences


@dataclass(frozen=True)
class _Support:
    """One feature of the reference, sorted.

    Attributes:
        auction: Of each row.
        starts: Where each distinct value begins.
        gaps: From each distinct value to the next, in units of distance.
    """

    auction: NDArray[np.intp]
    starts: NDArray[np.intp]
    gaps: NDArray[np.float32]

    @classmethod
    def of(cls, column: NDArray[np.floating[Any]], auction: NDArray[np.intp], unit: float) -> Self:
        """Sort `column`."""
        order = np.argsort(column, kind="stable")
        values, starts = np.unique(column[order], return_index=True)
        return cls(auction[order], starts, (np.diff(values) / unit).astype(np.float32))

    def distances(self, weights: Weights) -> NDArray[np.float32]:
        """Return the Wasserstein-1 distances, (resamples,), of `weights`, (auctions, resamples).

        It is the area between two distribution functions, here the integral of the absolute value
        of their difference.
        """
        differences = np.add.reduceat(weights[self.auction], self.starts, axis=0)[:-1]
        np.cumsum(differences, axis=0, out=differences)
        np.abs(differences, out=differences)
        return self.gaps @ differences
