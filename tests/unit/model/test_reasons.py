import numpy as np
import pytest
from numpy.typing import NDArray

from flask_app.model.predictor import Predictor
from flask_app.model.reasons import SENTENCES, Explainer, sentence
from flask_app.record import FEATURES
from tests.bundles import make_bundle

Rows = NDArray[np.float64]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(make_bundle(tmp_path_factory.mktemp("bundle")))


@pytest.fixture(scope="module")
def typical(predictor: Predictor) -> Rows:
    return np.array([list(predictor.manifest.typical.values())])


@pytest.fixture(scope="module")
def rows() -> Rows:
    rows = np.random.default_rng(1).random((70, len(FEATURES)))
    rows[:, 2] = np.arange(70) % 3 / 2
    rows[:, -1] = 1 + np.arange(70) % 10
    return rows


def _scores(predictor: Predictor, rows: Rows) -> Rows:
    return predictor.predict(rows.astype(np.float32))


def test_contributions_add_up_to_the_distance_from_the_typical_record(
    predictor: Predictor, typical: Rows, rows: Rows
) -> None:
    contributions = Explainer(predictor).contributions(rows)

    distance = _scores(predictor, rows) - _scores(predictor, typical)
    assert np.abs(contributions.sum(axis=1) - distance).max() < 1e-6


def test_a_typical_value_adds_nothing(predictor: Predictor, typical: Rows, rows: Rows) -> None:
    rows = rows.copy()
    rows[:, 3] = typical[0, 3]

    contributions = Explainer(predictor).contributions(rows)

    assert np.abs(contributions[:, 3]).max() < 1e-9
    assert np.abs(contributions).max() > 0.1


def test_a_record_s_reasons_do_not_depend_on_its_company(predictor: Predictor, rows: Rows) -> None:
    explainer = Explainer(predictor)

    together = explainer.contributions(rows)

    assert np.abs(together[50] - explainer.contributions(rows[50:51])[0]).max() < 1e-6
    assert explainer.contributions(rows[:0]).shape == (0, len(FEATURES))


def test_reasons_come_by_what_they_add_with_both_values(
    predictor: Predictor, typical: Rows, rows: Rows
) -> None:
    (reasons,) = Explainer(predictor).reasons(rows[:1])

    added = [reason.contribution for reason in reasons]
    assert added == sorted(added, reverse=True)
    told = {reason.feature: (reason.value, reason.typical) for reason in reasons}
    assert [told[name][0] for name in FEATURES] == pytest.approx(rows[0], rel=1e-5)
    assert [told[name][1] for name in FEATURES] == pytest.approx(typical[0], rel=1e-5)


def test_every_feature_is_told_in_words() -> None:
    assert set(SENTENCES) == set(FEATURES)


@pytest.mark.parametrize(
    ("feature", "value", "words"),
    [
        ("bidder_tendency", 0.75, "gives 75% of all bids to this seller"),
        ("bidder_tendency", 0.0, "shows no preference for this seller"),
        ("bidding_ratio", 0.347, "placed 35% of the auction's bids"),
        (
            "successive_outbidding",
            1.0,
            "outbid himself three times or more in a row while leading",
        ),
        ("successive_outbidding", 0.5, "outbid himself twice in a row while leading"),
        ("successive_outbidding", 0.0, "did not outbid himself twice in a row while leading"),
        ("auction_bids", 0.5, "is in an auction with 2.0 times the usual number of bids"),
        ("auction_bids", 1.0, "is in an auction with 1000.0 times the usual number of bids"),
        ("starting_price_average", 0.99, "is in an auction that opened at 1% of the usual price"),
        ("winning_ratio", 0.9, "lost 90% of the auctions in which he took a large part"),
        ("auction_duration", 7.0, "is in an auction of 7 days"),
        ("account_age", 9.0, "has account_age 9"),
    ],
)
def test_the_words_say_what_the_value_means(feature: str, value: float, words: str) -> None:
    assert sentence(feature, value) == words
