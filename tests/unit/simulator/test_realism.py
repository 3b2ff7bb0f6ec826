import pandas as pd
import pytest

from flask_app.record import FEATURES
from flask_app.simulator.realism import distance_table
from flask_app.simulator.simulation import simulate


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulate(50).frame


def test_equal_records_have_no_distance(frame: pd.DataFrame) -> None:
    table = distance_table(frame, frame)
    assert tuple(table.index) == FEATURES
    assert tuple(table.columns) == ("all", "honest", "shill")
    assert (table == 0).all(axis=None)


def test_a_shift_is_measured_in_standard_deviations_of_the_real_feature(
    frame: pd.DataFrame,
) -> None:
    shifted = frame.copy()
    shifted["auction_duration"] += 2 * frame["auction_duration"].std()
    table = distance_table(shifted, frame)
    assert table.loc["auction_duration"].tolist() == pytest.approx([2, 2, 2])
    assert table.drop(index="auction_duration").to_numpy() == pytest.approx(0)


def test_the_classes_are_compared_apart(frame: pd.DataFrame) -> None:
    shifted = frame.copy()
    shifted.loc[shifted["is_shill"] == 1, "last_bidding"] += frame["last_bidding"].std()
    table = distance_table(shifted, frame)
    assert table.loc["last_bidding", "honest"] == pytest.approx(0)
    assert table.loc["last_bidding", "shill"] == pytest.approx(1)
