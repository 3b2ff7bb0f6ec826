import numpy as np
import pandas as pd
import pytest

from flask_app.reference.distance import limits, normed_wasserstein


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    return np.random.default_rng(0).beta(1, 4, 3000)


def test_a_shift_is_measured_in_standard_deviations_of_the_reference(reference: np.ndarray) -> None:
    shifted = reference + 2 * reference.std()

    assert normed_wasserstein(reference, shifted) == pytest.approx(2)
    assert normed_wasserstein(reference, reference) == 0


def test_a_constant_reference_has_a_unit_too() -> None:
    assert normed_wasserstein(np.ones(100), np.full(50, 1.002)) == pytest.approx(2)


# Not ours: Evidently and what it imports have several.
@pytest.mark.filterwarnings("ignore")
def test_evidently_gives_the_same_distance(
    reference: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    from evidently import Report  # noqa: PLC0415 - takes seconds, which the other tests can do without
    from evidently.metrics import ValueDrift  # noqa: PLC0415

    window = np.random.default_rng(1).beta(1.3, 4, 500)
    report = Report([ValueDrift(column="x", method="wasserstein")])

    snapshot = report.run(pd.DataFrame({"x": window}), pd.DataFrame({"x": reference}))

    (metric,) = snapshot.dict()["metrics"]
    assert normed_wasserstein(reference, window) == pytest.approx(metric["value"], rel=1e-9)


def test_ordinary_values_are_within_the_limits(reference: np.ndarray) -> None:
    rows = np.stack([reference, 1 + 9 * reference], axis=1)

    assert np.array_equal(np.clip(rows, *limits(rows)), rows)


@pytest.mark.parametrize("outlier", [1e6, -1e6, 1e30])
def test_one_absurd_value_in_a_window_hardly_counts(reference: np.ndarray, outlier: float) -> None:
    window = reference[:500]
    spoilt = np.append(window, outlier)
    bounds = limits(reference)

    before, after = (
        normed_wasserstein(reference, np.clip(rows, *bounds)) for rows in (window, spoilt)
    )

    assert abs(after - before) < 0.03


def test_one_absurd_value_in_the_reference_does_not_hide_a_shift(reference: np.ndarray) -> None:
    spoilt = np.append(reference, 1e6)
    bounds = limits(spoilt)
    shifted = reference + reference.std()

    distance = normed_wasserstein(np.clip(spoilt, *bounds), np.clip(shifted, *bounds))

    assert distance == pytest.approx(1, abs=0.05)


def test_a_constant_feature_that_moves_as_a_whole_is_seen() -> None:
    reference = np.full(100, 5.0)
    bounds = limits(reference)

    moved = np.clip(np.full(200, 7.0), *bounds)

    assert normed_wasserstein(np.clip(reference, *bounds), moved) == pytest.approx(1)
