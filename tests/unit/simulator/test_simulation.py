from dataclasses import fields

import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from flask_app.data.dataset import COLUMNS, Dataset
from flask_app.errors import DataError, SettingError
from flask_app.record import FEATURES
from flask_app.simulator.market import Market
from flask_app.simulator.realism import distance_table
from flask_app.simulator.simulation import simulate


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulate(300, seed=1).frame


def _frame(**knobs: float) -> pd.DataFrame:
    return simulate(300, seed=1, market=Market(**knobs)).frame


def _shills(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["is_shill"] == 1]


def _honest(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["is_shill"] == 0]


def test_the_same_seed_size_and_market_give_the_same_records() -> None:
    one, other = simulate(50, seed=3), simulate(50, seed=3)
    assert one.frame.equals(other.frame)
    assert one.sha256 == other.sha256


def test_another_seed_gives_other_records() -> None:
    assert simulate(50, seed=3).sha256 != simulate(50, seed=4).sha256


def test_the_dataset_says_that_it_is_simulated_and_has_the_contracts_columns() -> None:
    dataset = simulate(50)
    assert dataset.name == "simulated"
    assert tuple(dataset.frame.columns) == COLUMNS
    assert [str(kind) for kind in dataset.frame.dtypes] == ["str", "str", *["float64"] * 9, "int8"]


@pytest.mark.parametrize("auctions", [5, 77, 300])
def test_there_are_as_many_auctions_as_asked_for(auctions: int) -> None:
    assert simulate(auctions).frame["auction_id"].nunique() == auctions


@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32),
    knobs=st.fixed_dictionaries(
        {},
        optional={
            "visitors": st.floats(8, 60),
            "token_starts": st.floats(0, 1),
            "raise_step": st.floats(0.01, 0.5),
            "tries": st.floats(1, 10),
            "returns": st.floats(0, 3),
            "snipers": st.floats(0, 0.5),
            "impulsive": st.floats(0, 1),
            "accounts": st.floats(0.2, 5),
            "activity_spread": st.floats(0, 2),
            "shills": st.floats(0.3, 3),
            "shill_raises": st.floats(0, 10),
            "shill_last_entry": st.floats(0.1, 1),
        },
    ),
)
def test_what_holds_in_every_auction_holds_in_every_market(
    seed: int, knobs: dict[str, float]
) -> None:
    try:
        frame = simulate(40, seed=seed, market=Market(**knobs)).frame
    except DataError:
        reject()  # no shill happened to come: such auctions are no dataset
    auction = frame.groupby("auction_id")
    assert not frame.duplicated(["auction_id", "bidder_id"]).any()
    assert frame.notna().all(axis=None)
    unit = frame[[name for name in FEATURES if name != "auction_duration"]]
    assert ((unit >= 0) & (unit <= 1)).all(axis=None)
    assert set(frame["auction_duration"]) <= {1, 3, 5, 7, 10}
    assert set(frame["successive_outbidding"]) <= {0, 0.5, 1}
    assert (frame["last_bidding"] >= frame["early_bidding"]).all()
    assert auction["bidding_ratio"].sum().to_numpy() == pytest.approx(1)
    of_the_auction = ["auction_bids", "starting_price_average", "auction_duration"]
    assert (auction[of_the_auction].nunique() == 1).all(axis=None)
    assert (frame.loc[frame["bidding_ratio"] < 0.0999, "winning_ratio"] == 0).all()


@pytest.mark.parametrize(
    ("knob", "value", "feature", "moves"),
    [
        ("token_starts", 0.9, "starting_price_average", +1),
        ("lowest_start", 1.3, "starting_price_average", +1),
        ("highest_start", 0.68, "starting_price_average", -1),
        ("accounts", 10.0, "bidder_tendency", +1),
        ("activity_spread", 2.0, "bidder_tendency", -1),
        ("visitors", 40.0, "bidding_ratio", -1),
        ("visitors_variation", 1.5, "auction_bids", +1),
        ("worth_spread", 0.02, "bidding_ratio", -1),
        ("raise_step", 0.5, "bidding_ratio", +1),
        ("tries", 1.0, "bidding_ratio", -1),
        ("returns", 2.0, "last_bidding", +1),
        ("early_birds", 0.6, "early_bidding", -1),
        ("snipers", 0.75, "early_bidding", +1),
        ("impulsive", 0.5, "successive_outbidding", +1),
    ],
)
def test_a_knob_moves_what_honest_bidders_do(
    frame: pd.DataFrame, knob: str, value: float, feature: str, moves: int
) -> None:
    before, after = _honest(frame)[feature], _honest(_frame(**{knob: value}))[feature]
    assert moves * (after.mean() - before.mean()) > 0.15 * before.std()


@pytest.mark.parametrize(
    ("knob", "value", "feature", "moves"),
    [
        ("shill_raises", 10.0, "bidding_ratio", +1),
        ("cautious_shills", 1.0, "successive_outbidding", -1),
        ("shill_step", 0.5, "winning_ratio", -1),
        ("shill_limit", 0.7, "starting_price_average", +1),
        ("shill_returns", 8.0, "last_bidding", +1),
        ("shill_early", 4.0, "early_bidding", +1),
        ("shill_late", 4.0, "early_bidding", -1),
        ("shill_last_entry", 0.3, "early_bidding", -1),
    ],
)
def test_a_knob_moves_what_shills_do(
    frame: pd.DataFrame, knob: str, value: float, feature: str, moves: int
) -> None:
    before, after = _shills(frame)[feature], _shills(_frame(**{knob: value}))[feature]
    assert moves * (after.mean() - before.mean()) > 0.15 * before.std()


def test_the_knob_shills_moves_the_share_of_shills(frame: pd.DataFrame) -> None:
    few, many = (_frame(shills=shills)["is_shill"].mean() for shills in (0.2, 2.0))
    assert 2 * few < frame["is_shill"].mean() < many / 1.5


def test_the_knob_token_shills_moves_them_to_auctions_that_open_low() -> None:
    def share_in_token_auctions(factor: float) -> float:
        return float((_shills(_frame(token_shills=factor))["starting_price_average"] > 0.5).mean())

    assert share_in_token_auctions(0.0) == 0 < share_in_token_auctions(1.0)
    assert share_in_token_auctions(1.0) < share_in_token_auctions(5.0)


def test_the_knob_early_bird_end_moves_the_earliest_bids(frame: pd.DataFrame) -> None:
    def share_at_once(frame: pd.DataFrame) -> float:
        return float((_honest(frame)["early_bidding"] < 0.001).mean())

    assert share_at_once(_frame(early_bird_end=0.001)) > 1.5 * share_at_once(frame)


def test_the_knob_sniper_lead_moves_the_latest_bids(frame: pd.DataFrame) -> None:
    def share_in_the_end(frame: pd.DataFrame) -> float:
        return float((_honest(frame)["last_bidding"] > 0.999).mean())

    assert share_in_the_end(_frame(sniper_lead=60.0)) > 1.5 * share_in_the_end(frame)


def test_every_knob_is_tested_to_move_something() -> None:
    tested = {
        mark.args[1][row][0]
        for test in (test_a_knob_moves_what_honest_bidders_do, test_a_knob_moves_what_shills_do)
        for mark in test.pytestmark
        for row in range(len(mark.args[1]))
    }
    alone = {"early_bird_end", "shills", "sniper_lead", "token_shills"}
    assert tested | alone == {knob.name for knob in fields(Market)}


def test_honest_bidders_who_are_never_impulsive_never_outbid_themselves() -> None:
    assert (_honest(_frame(impulsive=0.0))["successive_outbidding"] == 0).all()


@pytest.mark.parametrize(
    ("knobs", "complaint"),
    [
        ({"shills": 9.0}, r"shills=9\.0 is outside 0 \.\. 4 \(an auction\): choose"),
        ({"snipers": float("nan")}, r"snipers=nan is outside 0 \.\. 1"),
        ({"lowest_start": 1.5}, r"lowest_start=1\.5 is above highest_start="),
        (
            {"early_birds": 0.6, "snipers": 0.6},
            r"early_birds=0\.6 and snipers=0\.6 are more than 1",
        ),
    ],
)
def test_a_knob_out_of_range_is_refused(knobs: dict[str, float], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        Market(**knobs)


@pytest.mark.parametrize(("auctions", "seed"), [(0, 0), (-1, 0), (1, -1)])
def test_sizes_and_seeds_out_of_range_are_refused(auctions: int, seed: int) -> None:
    with pytest.raises(SettingError, match=f"auctions={auctions}, seed={seed}: give at least"):
        simulate(auctions, seed)


def test_a_market_in_which_nobody_bids_is_refused() -> None:
    nobody = Market(visitors=2, lowest_start=2, highest_start=2, token_starts=0, worth_spread=0)
    with pytest.raises(
        SettingError, match="20 of 20 auctions drew fewer than 5 bids, though 125 were"
    ):
        simulate(20, market=nobody)


def test_a_market_in_which_few_auctions_draw_bids_holds_more_of_them() -> None:
    seldom = Market(visitors=3, lowest_start=1.5, highest_start=1.5, token_starts=0)
    frame = simulate(20, market=seldom).frame
    assert frame["auction_id"].nunique() == 20
    # The numbers have gaps where auctions drew too few.
    assert frame["auction_id"].astype(int).max() > 20 * 10


def test_a_market_without_shills_gives_no_dataset() -> None:
    with pytest.raises(DataError, match="records are of class 0: simulate more auctions or change"):
        simulate(20, market=Market(shills=0))


@pytest.mark.uci
def test_simulated_records_are_near_the_real_ones(uci: Dataset) -> None:
    distances = distance_table(simulate(3000).frame, uci.frame)
    assert distances["all"].max() < 0.1
    assert distances["honest"].max() < 0.1
    assert distances["shill"].max() < 0.2


@pytest.mark.uci
def test_simulated_auctions_have_the_real_ones_proportions(uci: Dataset) -> None:
    def proportions(frame: pd.DataFrame) -> list[float]:
        auctions, bidders = frame["auction_id"].nunique(), frame["bidder_id"].nunique()
        return [len(frame) / auctions, len(frame) / bidders, frame["is_shill"].mean()]

    assert proportions(simulate(3000).frame) == pytest.approx(proportions(uci.frame), rel=0.05)


@pytest.mark.uci
def test_a_model_of_simulated_auctions_alone_knows_real_shills(uci: Dataset) -> None:
    simulated = simulate().frame
    model = HistGradientBoostingClassifier(max_leaf_nodes=15, random_state=0)
    with threadpool_limits(1):
        model.fit(simulated[list(FEATURES)], simulated["is_shill"])
    scores = model.predict_proba(uci.frame[list(FEATURES)])[:, 1]
    assert roc_auc_score(uci.frame["is_shill"], scores) > 0.985
