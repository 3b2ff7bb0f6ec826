"""Whatever is the matter with a window is counted, and nothing of it is scored unseen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from flask_app.drift.findings import FINDINGS, Examined, examine
from flask_app.drift.window import ROW, Rows, Window
from flask_app.model.bundle import Feature
from flask_app.record import FEATURES

REFERENCE = [Feature(name=name, minimum=0.1, maximum=0.9) for name in FEATURES]


def rows(count: int) -> Rows:
    """Rows in which nothing is the matter."""
    rows = np.zeros(count, ROW)
    rows["features"] = np.linspace(0.2, 0.8, count, dtype="f4")[:, np.newaxis]
    rows["auction"] = np.arange(count) // 4
    return rows


def look(
    found: Rows, reference: Sequence[Feature] = REFERENCE, sample: int = 10_000, **lines: int
) -> Examined:
    counts: dict[str, Any] = {"torn_lines": 0, "future_lines": 0} | lines
    return examine(
        Window(found, **counts),
        reference,
        torn_labels=0,
        minimum_rows=10,
        sample_rows=sample,
    )


def nonzero(examined: Examined) -> dict[str, int]:
    assert list(examined.findings) == list(FINDINGS)
    return {name: count for name, count in examined.findings.items() if count}


def test_nothing_is_the_matter_with_ordinary_rows() -> None:
    examined = look(rows(100))
    assert nonzero(examined) == {}
    assert len(examined.scored) == len(examined.usable) == 100


@pytest.mark.parametrize("count", [0, 1, 9])
def test_too_few_rows_are_not_scored(count: int) -> None:
    examined = look(rows(count))
    unscored = {"unscored_rows": count} if count else {}
    assert nonzero(examined) == {"too_few_rows": 10 - count} | unscored
    assert len(examined.scored) == 0


def test_rows_with_a_missing_value_are_left_out() -> None:
    found = rows(100)
    found["features"][:3], found["probability"][:3] = np.nan, np.nan
    examined = look(found)
    assert nonzero(examined) == {"missing_values": 3, "unscored_rows": 3}
    assert not np.isnan(examined.scored["features"]).any()


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("bidding_ratio", -0.01),
        ("bidding_ratio", 1.01),
        ("auction_duration", 0.0),
        ("auction_duration", -1.0),
        ("auction_duration", np.inf),
    ],
)
def test_rows_that_the_api_would_refuse_are_left_out(feature: str, value: float) -> None:
    found = rows(100)
    found["features"][7, FEATURES.index(feature)] = value
    examined = look(found)
    assert nonzero(examined) == {"out_of_range": 1, "unscored_rows": 1}
    assert len(examined.scored) == 99


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_a_probability_that_is_none_is_out_of_range(probability: float) -> None:
    found = rows(100)
    found["probability"][0] = probability
    assert nonzero(look(found)) == {"out_of_range": 1, "unscored_rows": 1}


def test_the_bounds_of_the_api_are_in_range() -> None:
    found = rows(100)
    found["features"][0], found["features"][1] = 1.0, 0.0
    found["features"][1, -1] = 1e-3
    found["probability"][:2] = 0.0, 1.0
    reference = [Feature(name=name, minimum=0.0, maximum=1.0) for name in FEATURES]
    assert nonzero(look(found, reference=reference)) == {}


def test_too_many_unusable_rows_leave_too_few() -> None:
    found = rows(12)
    found["features"][:3, 0] = 2.0
    assert nonzero(look(found)) == {"too_few_rows": 1, "out_of_range": 3, "unscored_rows": 12}


def test_rows_beyond_the_training_data_are_outliers_and_scored() -> None:
    found = rows(100)
    found["features"][5] = 0.95
    found["features"][6, -1] = 300
    examined = look(found)
    assert nonzero(examined) == {"outliers": 2}
    assert len(examined.scored) == 100


def test_a_column_with_one_value_is_counted_and_scored() -> None:
    found = rows(100)
    found["features"][:, 3] = 0.5
    examined = look(found)
    assert nonzero(examined) == {"constant_column": 1}
    assert len(examined.scored) == 100


def test_a_column_that_never_varied_is_no_finding() -> None:
    found = rows(100)
    found["features"][:, 3] = 0.5
    reference = [*REFERENCE]
    reference[3] = Feature(name=FEATURES[3], minimum=0.5, maximum=0.5)
    assert nonzero(look(found, reference=reference)) == {}


def test_a_sample_is_never_silent() -> None:
    examined = look(rows(100), sample=50)
    scored = len(examined.scored)
    assert scored <= 50
    assert nonzero(examined) == {"sampled": 100 - scored, "unscored_rows": 100 - scored}
    assert len(examined.usable) == 100


def test_lines_that_are_no_rows_are_passed_on() -> None:
    examined = look(rows(100), torn_lines=2, future_lines=3)
    assert nonzero(examined) == {"torn_lines": 2, "future_timestamps": 3}
