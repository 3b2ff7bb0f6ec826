"""Precision and recall respect how many bidders each judged one stands for."""

import numpy as np
import pytest

from flask_app.review.quality import estimate


def test_each_band_counts_for_as_many_bidders_as_it_has() -> None:
    found = estimate({"clear": (9000, 90, 9), "review": (800, 40, 20), "block": (200, 20, 19)})
    assert found.precision is not None
    assert found.precision.value == pytest.approx((400 + 190) / 1000)
    assert found.recall is not None
    assert found.recall.value == pytest.approx(590 / (590 + 900))


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    sizes = {"clear": 20_000, "review": 1_000, "block": 200}
    shares = {"clear": 0.01, "review": 0.5, "block": 0.95}
    judged = {"clear": 500, "review": 100, "block": 50}
    caught = sizes["review"] * shares["review"] + sizes["block"] * shares["block"]
    truth = caught / (caught + sizes["clear"] * shares["clear"])
    held = 0
    for _ in range(300):
        strata = {
            band: (sizes[band], judged[band], int(random.binomial(judged[band], shares[band])))
            for band in sizes
        }
        recall = estimate(strata).recall
        assert recall is not None
        held += recall.low <= truth <= recall.high
    assert 0.91 <= held / 300 <= 0.99


def test_without_judgements_nothing_is_claimed() -> None:
    assert estimate({"clear": (9, 0, 0), "review": (5, 0, 0), "block": (1, 1, 1)}) == (None, None)
    found = estimate({"clear": (9, 0, 0), "review": (5, 5, 1), "block": (1, 1, 1)})
    assert found.precision is not None
    assert found.recall is None


def test_a_band_without_bidders_needs_no_judgement() -> None:
    found = estimate({"clear": (9, 3, 0), "review": (5, 5, 4), "block": (0, 0, 0)})
    assert found.precision is not None
    assert found.precision.value == pytest.approx(0.8)
    assert found.recall is not None
    assert found.recall.value == 1.0
    assert found.recall.low < 1


def test_nothing_flagged_has_no_precision() -> None:
    assert estimate({"clear": (9, 3, 0), "review": (0, 0, 0), "block": (0, 0, 0)}) == (None, None)
