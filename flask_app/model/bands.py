"""Bands of risk: from which probability on a record is reviewed, and from which it is blocked.

A probability says how sure the model is, a band what to do. The bands' thresholds come from
out-of-fold probabilities by what they cost: the share of honest records that are flagged.
"""

from bisect import bisect_right
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from flask_app.errors import SettingError
from flask_app.model.bundle import Bands, OperatingPoint

Band = Literal["clear", "review", "block"]
NAMES: tuple[Band, ...] = get_args(Band)

REVIEW_HONEST = 1 / 200
"""At most so many honest records are to be reviewed."""
BLOCK_HONEST = 1 / 5000
"""At most so many honest records are to be blocked."""
TABLE_HONEST = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002)
"""The shares of honest records whose thresholds a manifest lists."""

Labels = NDArray[np.int8]
Probabilities = NDArray[np.float64]


def find_bands(
    labels: Labels,
    probabilities: Probabilities,
    review: float = REVIEW_HONEST,
    block: float = BLOCK_HONEST,
) -> Bands:
    """Choose both thresholds, each the lowest that flags no more honest records than allowed.

    Args:
        labels: 1 for shill, (n,); both kinds occur.
        probabilities: Out-of-fold, (n,).
        review: Largest share of honest records to flag for review, from `block` to 1.
        block: Largest share of honest records to block, from 0.

    Raises:
        SettingError: A share is outside its range.
    """
    if not 0 <= block <= review <= 1:
        raise SettingError(
            f"review={review:g}, block={block:g}: shares of honest records from 0 to 1 are needed, "
            "and no more blocked than reviewed"
        )
    return Bands(
        review=operating_point(labels, probabilities, review),
        block=operating_point(labels, probabilities, block),
        rule=(
            f"the lowest thresholds that flag at most {review:.4%} of honest records for review, "
            f"and at most {block:.4%} to block, out of fold"
        ),
        table=tuple(operating_point(labels, probabilities, share) for share in TABLE_HONEST),
    )


def operating_point(labels: Labels, probabilities: Probabilities, most: float) -> OperatingPoint:
    """Return the lowest threshold that flags at most the share `most` of honest records.

    It is midway between neighbours, so that rounding changes nothing.
    """
    honest = np.sort(probabilities[labels == 0])[::-1]
    allowed = int(most * len(honest) + 1e-9)
    threshold = 0.0
    if allowed < len(honest):
        highest = honest[allowed]  # of those that are not to be flagged
        above = probabilities[probabilities > highest]
        threshold = float((highest + (above.min() if above.size else 1.0)) / 2)
    return OperatingPoint(
        threshold=threshold,
        honest_flagged=float((honest >= threshold).mean()),
        shills_caught=float((probabilities[labels == 1] >= threshold).mean()),
    )


def places(probabilities: Probabilities, bands: Bands) -> NDArray[np.intp]:
    """Return the place in `NAMES` of the band of each probability, (n,)."""
    found: NDArray[np.intp] = np.searchsorted(_thresholds(bands), probabilities, side="right")
    return found


def name_of(probability: float, bands: Bands) -> Band:
    """Return the band of one probability."""
    return NAMES[bisect_right(_thresholds(bands), probability)]


def _thresholds(bands: Bands) -> list[float]:
    return [bands.review.threshold, bands.block.threshold]


def as_rows(bands: Bands) -> list[tuple[Any, ...]]:
    """Return a row for people for each band and each line of the table."""
    named = [("review", bands.review), ("block", bands.block)]
    return [
        (name, point.threshold, point.honest_flagged, point.shills_caught)
        for name, point in [*named, *(("", point) for point in bands.table)]
    ]
