"""Why a record has its probability: exact Shapley values against a typical honest bidder.

A feature's contribution is what it adds to the probability on average over all orders in which the
features of the typical honest record could be replaced by the record's own. All 2^9 mixtures of the
two are scored, so nothing is estimated, and the contributions add up to the difference between the
two probabilities. Source: Shapley (1953); Lundberg and Lee (2017), with one background record.
"""

from collections.abc import Callable, Sequence
from math import factorial
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES

RECORDS_AT_ONCE = 32
"""Records whose mixtures are scored in one run of the model."""


class Reason(msgspec.Struct, frozen=True):
    """What one feature adds to a record's probability."""

    feature: str
    value: Annotated[float, Meta(description="The record's, to six digits.")]
    typical: Annotated[float, Meta(description="That of a typical honest record.")]
    contribution: Annotated[
        float, Meta(description="The part of the difference in probability; may be below 0.")
    ]
    sentence: Annotated[str, Meta(description="The value in words; the bidder is the subject.")]


def _weights(count: int) -> NDArray[np.float64]:
    """Return by feature and mixture what its score counts for, (count, 2^count)."""
    mixed = _mixtures(count)
    size = mixed.sum(axis=1)
    orders = factorial(count)
    # Orders in which the others of the mixture come before the feature, and the rest after it.
    joined = np.array([factorial(s - 1) * factorial(count - s) if s else 0 for s in size]) / orders
    left = np.array([factorial(s) * factorial(count - s - 1) if s < count else 0 for s in size])
    return np.where(mixed.T, joined, -left / orders)


def _mixtures(count: int) -> NDArray[np.bool_]:
    """Return which features each mixture takes from the record, (2^count, count)."""
    return (np.arange(2**count)[:, np.newaxis] >> np.arange(count) & 1).astype(bool)


_MIXTURES = _mixtures(len(FEATURES))
_WEIGHTS = _weights(len(FEATURES))


class Explainer:
    """Explains the probabilities of one model."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        typical = predictor.manifest.typical
        self._typical = np.array([typical[name] for name in FEATURES])

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the contribution of each feature to each row's probability, (n, 9) each."""
        return np.concatenate(
            [
                self._contributions(rows[start : start + RECORDS_AT_ONCE])
                for start in range(0, len(rows), RECORDS_AT_ONCE)
            ]
            or [np.empty_like(rows)]
        )

    def _contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        mixed = np.where(_MIXTURES, rows[:, np.newaxis], self._typical).astype(np.float32)
        scores = self._predictor.predict(mixed.reshape(-1, len(FEATURES)))
        found: NDArray[np.float64] = scores.reshape(len(rows), -1) @ _WEIGHTS.T
        return found

    def reasons(self, rows: NDArray[np.float64]) -> list[list[Reason]]:
        """Return the reasons of each row, (n, 9), the largest contribution first."""
        return [
            self._told(row.tolist(), contributions.tolist())
            for row, contributions in zip(rows, self.contributions(rows), strict=True)
        ]

    def _told(self, row: Sequence[float], contributions: Sequence[float]) -> list[Reason]:
        typical = self._typical.tolist()
        reasons = [
            Reason(name, _short(value), _short(usual), contribution, sentence(name, value))
            for name, value, usual, contribution in zip(
                FEATURES, row, typical, contributions, strict=True
            )
        ]
        return sorted(reasons, key=lambda reason: -reason.contribution)


def _short(value: float) -> float:
    """Drop the digits that a float32 makes up."""
    return float(f"{value:.6g}")


def sentence(feature: str, value: float) -> str:
    """Say in words what a feature's value means; the bidder is the subject."""
    say = SENTENCES.get(feature)
    return say(value) if say else f"has {feature} {value:g}"


def _or(nothing: str, say: Callable[[float], str]) -> Callable[[float], str]:
    """Say `nothing` of 0."""
    return lambda value: say(value) if value > 0 else nothing


def _successive_outbidding(value: float) -> str:
    if value >= 1:
        return "outbid himself three times or more in a row while leading"
    return f"{'outbid' if value > 0 else 'did not outbid'} himself twice in a row while leading"


def _auction_bids(value: float) -> str:
    return f"is in an auction with {1 / max(1 - value, 1e-3):.1f} times the usual number of bids"


def _starting_price_average(value: float) -> str:
    return f"is in an auction that opened at {1 - value:.0%} of the usual price"


SENTENCES: dict[str, Callable[[float], str]] = {
    "bidder_tendency": _or(
        "shows no preference for this seller", "gives {:.0%} of all bids to this seller".format
    ),
    "bidding_ratio": "placed {:.0%} of the auction's bids".format,
    "successive_outbidding": _successive_outbidding,
    "last_bidding": "placed his last bid when {:.0%} of the auction's time had passed".format,
    "auction_bids": _or("is in an auction with no more bids than usual", _auction_bids),
    "starting_price_average": _or(
        "is in an auction that opened at the usual price or above", _starting_price_average
    ),
    "early_bidding": "placed his first bid when {:.0%} of the auction's time had passed".format,
    "winning_ratio": _or(
        "lost no auction in which he took a large part",
        "lost {:.0%} of the auctions in which he took a large part".format,
    ),
    "auction_duration": "is in an auction of {:g} days".format,
}
