import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_app.errors import SettingError
from flask_app.model.bands import (
    NAMES,
    TABLE_HONEST,
    find_bands,
    name_of,
    operating_point,
    places,
)

HONEST = np.linspace(0.0, 0.499, 500)
SHILLS = np.linspace(0.4, 0.9, 51)
LABELS = np.repeat([0, 1], [len(HONEST), len(SHILLS)]).astype(np.int8)
PROBABILITIES = np.concatenate([HONEST, SHILLS])


def test_a_threshold_is_the_lowest_that_flags_no_more_honest_records_than_allowed() -> None:
    point = operating_point(LABELS, PROBABILITIES, 0.01)

    assert point.honest_flagged == pytest.approx(5 / 500)
    assert HONEST[-6] < point.threshold < HONEST[-5]
    assert point.shills_caught == pytest.approx((point.threshold <= SHILLS).mean())


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.floats(0, 1),
)
def test_no_more_honest_records_than_allowed_are_flagged(
    honest: list[float], shills: list[float], most: float
) -> None:
    labels = np.repeat([0, 1], [len(honest), len(shills)]).astype(np.int8)
    point = operating_point(labels, np.array([*honest, *shills]), most)

    # At a probability of 1 nothing can be told apart.
    assert point.honest_flagged <= most + 1e-9 or point.threshold == 1
    assert point.shills_caught == np.mean(np.array(shills) >= point.threshold)


def test_the_bands_and_the_table_state_what_their_thresholds_do() -> None:
    bands = find_bands(LABELS, PROBABILITIES, review=0.02, block=0)

    assert bands.review == operating_point(LABELS, PROBABILITIES, 0.02)
    assert bands.block.honest_flagged == 0
    assert bands.table == tuple(
        operating_point(LABELS, PROBABILITIES, share) for share in TABLE_HONEST
    )
    assert "at most 2.0000% of honest records for review" in bands.rule


def test_a_record_is_in_the_highest_band_whose_threshold_it_reaches() -> None:
    bands = find_bands(LABELS, PROBABILITIES, review=0.02, block=0.01)
    edges = [bands.review.threshold, bands.block.threshold]
    around = np.array([0, *(edge + step for edge in edges for step in (-1e-9, 0, 1e-9)), 1])
    expected = ["clear", "clear", "review", "review", "review", "block", "block", "block"]

    assert [name_of(probability, bands) for probability in around] == expected
    assert [NAMES[place] for place in places(around, bands)] == expected


@pytest.mark.parametrize(("review", "block"), [(0.1, 0.2), (1.1, 0.1), (0.1, -0.1)])
def test_impossible_shares_are_refused(review: float, block: float) -> None:
    with pytest.raises(SettingError, match=f"review={review:g}, block={block:g}: shares of"):
        find_bands(LABELS, PROBABILITIES, review, block)
