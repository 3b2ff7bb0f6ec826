"""How good the flags are, from what reviewers have said of flagged and of drawn bidders.

Each band is a stratum: its share of shills is estimated from those of it that were judged, and
counts for as many bidders as it has. Intervals are Bayesian, from Jeffreys' prior for each share.
Source: Brown, Cai and DasGupta (2001); Cochran, Sampling Techniques, chapter 5.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flask_app.model.bands import Band

Draws = NDArray[np.float64]

DRAWS = 20_000
LEVEL = 0.95


class Estimate(NamedTuple):
    """A share, and the bounds within which it lies with a probability of `LEVEL`."""

    value: float
    low: float
    high: float


class Quality(NamedTuple):
    """The share of the flagged who are shills, and of the shills who are flagged.

    None: nobody has been judged of a band that matters.
    """

    precision: Estimate | None
    recall: Estimate | None


def estimate(strata: Mapping[Band, tuple[int, int, int]]) -> Quality:
    """Estimate from `Index.strata`: by band its size, how many are judged, how many are shills."""
    random = np.random.default_rng(0)
    shills: dict[Band, tuple[float, Draws]] = {}
    for band, (size, judged, found) in strata.items():
        if judged:
            share = random.beta(found + 0.5, judged - found + 0.5, DRAWS)
            shills[band] = size * found / judged, size * share
        elif not size:
            shills[band] = 0.0, np.zeros(DRAWS)
    flagged = strata["review"][0] + strata["block"][0]
    if not flagged or not {"review", "block"} <= shills.keys():
        return Quality(None, None)
    caught = shills["review"][0] + shills["block"][0]
    caught_draws = shills["review"][1] + shills["block"][1]
    precision = _estimate(caught / flagged, caught_draws / flagged)
    if "clear" not in shills or not caught + shills["clear"][0]:
        return Quality(precision, None)
    missed, missed_draws = shills["clear"]
    recall = _estimate(caught / (caught + missed), caught_draws / (caught_draws + missed_draws))
    return Quality(precision, recall)


def _estimate(value: float, draws: Draws) -> Estimate:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))
