import pytest

from flask_app.drift.scores import drift_score

THRESHOLDS = {"a": 0.1, "b": 0.4}


def test_no_distance_is_0() -> None:
    assert drift_score({"a": 0.0, "b": 0.0}, THRESHOLDS) == 0


@pytest.mark.parametrize("distances", [{"a": 0.1, "b": 0.0}, {"a": 0.05, "b": 0.4}])
def test_a_distance_at_its_threshold_is_one_half_exactly(distances: dict[str, float]) -> None:
    assert drift_score(distances, THRESHOLDS) == 0.5


def test_the_feature_furthest_beyond_its_own_threshold_decides() -> None:
    assert drift_score({"a": 0.3, "b": 0.4}, THRESHOLDS) == pytest.approx(0.75)


def test_however_far_it_stays_below_1() -> None:
    assert 0.99 < drift_score({"a": 1e3, "b": 0.0}, THRESHOLDS) < 1
