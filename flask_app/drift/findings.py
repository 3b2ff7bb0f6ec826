"""Findings: what is the matter with a window before anything is computed from it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from flask_app.drift.window import Rows, Window, draw_auctions
from flask_app.model.bundle import Feature
from flask_app.record import FEATURES, FIELDS

FINDINGS = {
    "too_few_rows": "usable predictions that were lacking to the minimum",
    "torn_lines": "lines of the prediction and label logs that were not whole",
    "missing_values": "predictions with a value that was missing or no number",
    "constant_column": "features that had one value throughout, unlike in the training data",
    "out_of_range": "predictions with a value that the API would have refused",
    "outliers": "predictions with a value beyond the training data's",
    "future_timestamps": "predictions made later than now, left out of the window",
    "sampled": "predictions left out because whole auctions were drawn",
    "unscored_rows": "predictions of the window that the scores do not rest on",
}
"""Every finding, and what its number counts."""

_LIMITS = {field.name: field.json_schema for field in FIELDS}
_LEAST = np.array([_LIMITS[name].get("minimum", np.finfo("f4").tiny) for name in FEATURES])
_MOST = np.array([_LIMITS[name]["maximum"] for name in FEATURES])


@dataclass(frozen=True)
class Examined:
    """A window, examined.

    Attributes:
        usable: Rows whose values are all there and in the ranges of the API.
        scored: Those of them that distances are computed from: none, all, or whole auctions.
        findings: A number for each of `FINDINGS`.
    """

    usable: Rows
    scored: Rows
    findings: dict[str, int]


def examine(
    window: Window,
    reference: Iterable[Feature],
    *,
    torn_labels: int,
    minimum_rows: int,
    sample_rows: int,
) -> Examined:
    """Examine `window`; raises nothing, whatever is in it.

    Args:
        window: Any rows, or none.
        reference: The ranges of the training data.
        torn_labels: Lines of the label log that are not whole.
        minimum_rows: With fewer usable rows none is scored.
        sample_rows: Of more usable rows whole auctions are drawn.
    """
    rows = window.rows
    features, probability = rows["features"], rows["probability"]
    missing = np.isnan(probability)
    inside = (features >= _LEAST) & (features <= _MOST)
    whole = inside.all(axis=1) & (probability >= 0) & (probability <= 1)
    usable = rows[whole]
    too_few = max(0, minimum_rows - len(usable))
    scored = usable[:0] if too_few else draw_auctions(usable, sample_rows)

    least, most = np.array([(feature.minimum, feature.maximum) for feature in reference]).T
    values = usable["features"]
    constant = (values == values[:1]).all(axis=0) & (least < most)
    counts = {
        "too_few_rows": too_few,
        "torn_lines": window.torn_lines + torn_labels,
        "missing_values": missing.sum(),
        "constant_column": 0 if too_few else constant.sum(),
        "out_of_range": (~whole & ~missing).sum(),
        "outliers": ((values < least) | (values > most)).any(axis=1).sum(),
        "future_timestamps": window.future_lines,
        "sampled": 0 if too_few else len(usable) - len(scored),
        "unscored_rows": len(rows) - len(scored),
    }
    return Examined(usable, scored, {name: int(counts[name]) for name in FINDINGS})
