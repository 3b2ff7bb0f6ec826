from collections.abc import Callable

import numpy as np
import pytest

from flask_app.errors import BundleError
from flask_app.reference.distance import normed_wasserstein
from flask_app.reference.thresholds import SMALLEST_THRESHOLD, DriftThresholds, find_thresholds

FEATURES = ("level", "price", "constant")
Market = Callable[[int, int], tuple[np.ndarray, np.ndarray]]


def market(auctions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two features and a constant; within an auction the second is nearly the same."""
    random = np.random.default_rng(seed)
    auction = np.repeat(np.arange(auctions), random.integers(2, 14, auctions))
    level = random.beta(1, 4, len(auction))
    price = random.normal(0, 1, auctions)[auction] + random.normal(0, 0.1, len(auction))
    return np.stack([level, price, np.full(len(auction), 3.0)], axis=1), auction.astype(str)


@pytest.fixture(scope="module")
def calibration() -> DriftThresholds:
    return find_thresholds(*market(400, 0), seed=0, features=FEATURES, resamples=1000)


def test_windows_without_drift_hardly_ever_alarm(calibration: DriftThresholds) -> None:
    reference, _ = market(400, 0)
    alarms = 0
    for seed in range(1, 201):
        window, _ = market(65, seed)
        alarms += any(
            normed_wasserstein(reference[:, number], window[:, number])
            > calibration.threshold(name, len(window))
            for number, name in enumerate(FEATURES)
        )

    assert alarms <= 6


def test_a_feature_that_auctions_share_needs_a_larger_distance(
    calibration: DriftThresholds,
) -> None:
    level, price = (calibration.threshold(name, 1000) for name in ("level", "price"))

    # 7 rows an auction, nearly equal, are worth little more than one.
    assert 2 < price / level < 4


def test_a_constant_feature_has_a_threshold(calibration: DriftThresholds) -> None:
    assert calibration.threshold("constant", 1000) == SMALLEST_THRESHOLD


def test_a_feature_that_hardly_ever_varies_hardly_raises_the_others_thresholds(
    calibration: DriftThresholds,
) -> None:
    rows, auctions = market(400, 0)
    rows[:, 2] = auctions == "7"

    with_rare = find_thresholds(rows, auctions, seed=0, features=FEATURES, resamples=1000)

    for name in ("level", "price"):
        ratio = with_rare.threshold(name, 200) / calibration.threshold(name, 200)
        assert 0.9 < ratio < 1.3


def test_larger_windows_never_have_larger_thresholds(calibration: DriftThresholds) -> None:
    sizes = np.unique(np.geomspace(10, 2e6, 300).astype(int))

    for name in calibration.features:
        thresholds = [calibration.threshold(name, int(size)) for size in sizes]
        assert np.all(np.diff(thresholds) <= 1e-12)


def test_calibrated_sizes_have_the_calibrated_thresholds(calibration: DriftThresholds) -> None:
    for name, thresholds in calibration.thresholds.items():
        read = [calibration.threshold(name, size) for size in calibration.window_rows]
        assert read == pytest.approx(thresholds, rel=1e-12)


def test_beyond_the_largest_size_the_threshold_stays(calibration: DriftThresholds) -> None:
    largest = calibration.window_rows[-1]

    assert calibration.threshold("price", 50 * largest) == pytest.approx(
        calibration.thresholds["price"][-1], rel=1e-12
    )


def test_below_the_smallest_size_the_threshold_grows(calibration: DriftThresholds) -> None:
    smallest = calibration.window_rows[0]

    assert calibration.threshold("price", smallest // 4) == pytest.approx(
        2 * calibration.thresholds["price"][0]
    )


def test_the_same_data_and_seed_give_the_same_bytes_and_no_other_seed_does() -> None:
    data = market(60, 0)

    first, same, other = (
        find_thresholds(*data, seed=seed, features=FEATURES, resamples=200).to_json()
        for seed in (0, 0, 1)
    )

    assert first == same != other


def test_the_order_of_rows_and_the_names_of_auctions_do_not_matter_to_the_distances() -> None:
    rows, auctions = market(100, 0)
    order = np.argsort(auctions, kind="stable")[::-1]

    here = find_thresholds(rows, auctions, seed=0, features=FEATURES, resamples=200)
    there = find_thresholds(rows[order], auctions[order], seed=0, features=FEATURES, resamples=200)

    assert here == there


def test_what_is_written_is_read_again(calibration: DriftThresholds) -> None:
    assert DriftThresholds.from_json(calibration.to_json()) == calibration
    assert calibration.features == FEATURES
    assert calibration.rows == len(market(400, 0)[0])
    assert calibration.auctions == 400
    assert calibration.false_alarm_rate == 0.01


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff"])
def test_what_is_not_a_calibration_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match="not a calibration"):
        DriftThresholds.from_json(content)
