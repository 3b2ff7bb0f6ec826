from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flask_app.bids import tables
from flask_app.bids.features import compute
from flask_app.bids.tables import LARGE_PART
from flask_app.data.dataset import Dataset
from flask_app.record import FEATURES
from flask_app.simulator.simulation import hold_auctions

Bid = tuple[str, str, int, float]
DAY = 86_400
OPENED = 1_767_225_600 * 10**6


def _tables(
    *bids: Bid,
    sellers: dict[str, str] | None = None,
    prices: dict[str, float] | None = None,
    days: dict[str, int] | None = None,
    categories: dict[str, str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The contract's tables of (auction, bidder, second, amount) bids."""
    names = list(dict.fromkeys([*(prices or {}), *(bid[0] for bid in bids)]))
    auctions = pd.DataFrame(
        {
            "auction_id": names,
            "seller_id": [(sellers or {}).get(name, name) for name in names],
            "item_category": pd.Series([(categories or {}).get(name) for name in names], dtype=str),
            "starting_price": [(prices or {}).get(name, 1.0) for name in names],
            "opened_at": OPENED,
            "closes_at": [OPENED + (days or {}).get(name, 1) * tables.DAY for name in names],
        }
    )
    table = pd.DataFrame(bids, columns=["auction_id", "bidder_id", "second", "amount"])
    table["bid_id"] = [str(number) for number in range(len(table))]
    table["placed_at"] = OPENED + table.pop("second") * 10**6
    return auctions, table


def _records(*bids: Bid, **auctions: Any) -> pd.DataFrame:
    """Records of bids as `_tables` takes them, indexed by auction and bidder, by first bids."""
    held, placed = _tables(*bids, **auctions)
    found = compute(held, placed).set_index(["auction_id", "bidder_id"])
    return found.loc[list(dict.fromkeys(bid[:2] for bid in bids))]


def _ladder(auction: str, *bidders: str) -> list[Bid]:
    """Bids in which each is above the one before."""
    return [(auction, bidder, 60 * n, 10.0 + n) for n, bidder in enumerate(bidders)]


def test_there_is_one_record_a_bidder_and_auction() -> None:
    auctions, bids = _tables(*_ladder("x", "b", "a", "b"), *_ladder("w", "a", "b"))
    found = compute(auctions, bids)
    assert sorted(zip(found["auction_id"], found["bidder_id"], strict=True)) == [
        ("w", "a"), ("w", "b"), ("x", "a"), ("x", "b"),
    ]  # fmt: skip
    assert tuple(found.columns) == ("auction_id", "bidder_id", *FEATURES)


@given(st.randoms(use_true_random=False), st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_the_order_of_rows_changes_nothing(random: Random, seed: int) -> None:
    simulated = hold_auctions(20, seed=seed)
    expected = simulated.dataset.frame.drop(columns="is_shill")
    auctions, bids = (
        table.iloc[random.sample(range(len(table)), len(table))]
        for table in (simulated.auctions, simulated.bids)
    )
    found = expected[["auction_id", "bidder_id"]].merge(compute(auctions, bids))
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12)


def test_an_auction_may_have_a_hundred_thousand_bids() -> None:
    bidders = np.resize(["a", "b", "c", "d"], 100_000)
    auctions, bids = _tables(("x", "a", 0, 1.0))
    bids = pd.DataFrame(
        {
            "bid_id": np.arange(100_000).astype(str),
            "auction_id": "x",
            "bidder_id": bidders,
            "amount": np.arange(1.0, 100_001),
            "placed_at": OPENED + np.sort(np.resize(np.arange(DAY), 100_000)) * 10**6,
        }
    )
    found = compute(auctions, bids)
    assert found["bidding_ratio"].tolist() == [0.25] * 4
    assert found["winning_ratio"].sum() == 3


def test_of_bids_of_one_moment_the_one_with_the_shorter_id_is_first() -> None:
    auctions, bids = _tables(("x", "a", 0, 5.0), ("x", "b", 0, 5.0))
    bids["bid_id"] = ["9", "10"]
    found = compute(auctions, bids).set_index("bidder_id")
    assert found["winning_ratio"].to_dict() == {"a": 0.0, "b": 1.0}


def test_bidding_ratio_is_the_share_of_the_auctions_bids() -> None:
    found = _records(*_ladder("x", "a", "b", "a", "a"))
    assert found["bidding_ratio"].tolist() == [0.75, 0.25]


def test_early_and_last_bidding_are_the_places_of_the_first_and_the_last_bid() -> None:
    found = _records(
        ("x", "a", 0, 1), ("x", "b", DAY, 2), ("x", "a", DAY, 3), ("x", "a", 3 * DAY, 4),
        days={"x": 4},
    )  # fmt: skip
    assert found["early_bidding"].tolist() == [0.0, 0.25]
    assert found["last_bidding"].tolist() == [0.75, 0.25]
    assert found["auction_duration"].tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    ("bids", "expected"),
    [
        ("a", 0.0),
        ("aa", 0.0),
        ("aaa", 0.5),
        ("aaaa", 1.0),
        ("aaaaaaa", 1.0),
        ("baaa", 0.5),
        ("aabaa", 0.0),
        ("aabaaa", 0.5),
        ("ababab", 0.0),
    ],
)
def test_successive_outbidding_counts_how_often_a_leader_outbid_himself_in_a_row(
    bids: str, expected: float
) -> None:
    found = _records(*_ladder("x", *bids))
    assert found.loc[("x", "a"), "successive_outbidding"] == expected


def test_bids_below_the_leaders_amount_outbid_nobody() -> None:
    probes = [("x", "a", 60 * n, 10.0 * n) for n in range(1, 6)]
    found = _records(("x", "b", 0, 1000.0), *probes)
    assert found.loc[("x", "a"), "successive_outbidding"] == 0.0


def test_a_bid_below_the_leaders_amount_still_breaks_his_row() -> None:
    whole = [("x", "a", n, 10.0 + n) for n in range(4)]
    assert _records(*whole).loc[("x", "a"), "successive_outbidding"] == 1.0
    broken = [*whole[:2], ("x", "b", 1, 5.0), *whole[2:]]
    assert _records(*broken).loc[("x", "a"), "successive_outbidding"] == 0.5


def test_a_row_does_not_go_on_in_the_next_auction() -> None:
    found = _records(*_ladder("x", "a", "a"), *_ladder("y", "a", "a"))
    assert found["successive_outbidding"].tolist() == [0.0, 0.0]


def test_auction_bids_tells_how_far_the_auction_is_above_the_mean() -> None:
    found = _records(*_ladder("x", *"ab"), *_ladder("y", *"ab"), *_ladder("z", *"abababab"))
    assert found["auction_bids"].tolist() == [0, 0, 0, 0, 0.5, 0.5]


def test_an_auction_without_bids_counts_for_no_mean() -> None:
    found = _records(
        *_ladder("x", *"a"), *_ladder("y", *"abc"), prices={"x": 50.0, "y": 150.0, "empty": 9000.0}
    )
    assert found["auction_bids"].tolist() == [0.0, *[pytest.approx(1 - 2 / 3)] * 3]
    assert found["starting_price_average"].tolist() == [0.5, 0.0, 0.0, 0.0]


def test_starting_price_average_tells_how_far_the_start_is_below_the_mean() -> None:
    found = _records(
        *_ladder("x", "a"), *_ladder("y", "a"), *_ladder("z", "a"),
        prices={"x": 10.0, "y": 90.0, "z": 200.0},
    )  # fmt: skip
    assert found["starting_price_average"].tolist() == pytest.approx([0.9, 0.1, 0.0])


def test_starting_prices_are_compared_within_a_category() -> None:
    found = _records(
        *_ladder("w", "a"), *_ladder("x", "a"), *_ladder("y", "a"), *_ladder("z", "a"),
        prices={"w": 10.0, "x": 30.0, "y": 1000.0, "z": 3000.0},
        categories={"y": "cars", "z": "cars"},
    )  # fmt: skip
    assert found["starting_price_average"].tolist() == [0.5, 0.0, 0.5, 0.0]


def test_bidder_tendency_is_the_share_of_his_bids_that_this_seller_gets() -> None:
    found = _records(
        *_ladder("x", "a"), *_ladder("y", "a", "b", "a"), *_ladder("z", "a"),
        sellers={"x": "s", "y": "s", "z": "t"},
    )  # fmt: skip
    assert found.xs("a", level="bidder_id")["bidder_tendency"].tolist() == [0.75, 0.75, 0.25]


def test_a_single_bid_shows_no_tendency() -> None:
    found = _records(*_ladder("x", "a", "b", "b"))
    assert found["bidder_tendency"].tolist() == [0.0, 1.0]


def test_winning_ratio_is_the_share_of_auctions_not_won_where_the_part_was_large() -> None:
    small_part = ["a", *"bcbcbcbcbcb"]  # 1 bid of 12
    found = _records(
        *_ladder("w", "b", "a"), *_ladder("x", "a", "b"), *_ladder("y", "a", "b"),
        *_ladder("z", *small_part),
    )  # fmt: skip
    assert found.xs("a", level="bidder_id")["winning_ratio"].tolist() == [0.75, 0.75, 0.75, 0.0]
    assert found.xs("b", level="bidder_id")["winning_ratio"].tolist() == [0.25] * 4
    assert found.xs("c", level="bidder_id")["winning_ratio"].tolist() == [1.0]


def test_a_tenth_of_the_bids_is_a_large_part() -> None:
    found = _records(*_ladder("x", "a", *"bcbcbcbcb"))
    assert found.loc[("x", "a"), "bidding_ratio"] == LARGE_PART
    assert found.loc[("x", "a"), "winning_ratio"] == 1.0


def test_the_highest_amount_wins_and_of_equals_the_earlier() -> None:
    found = _records(("x", "a", 0, 5.0), ("x", "b", 1, 7.0), ("x", "c", 2, 7.0), ("x", "a", 3, 6.0))
    assert found["winning_ratio"].to_dict() == {("x", "a"): 1.0, ("x", "b"): 0.0, ("x", "c"): 1.0}


@pytest.mark.uci
def test_the_published_winning_ratios_obey_the_definition(uci: Dataset) -> None:
    frame = uci.frame
    large = frame["bidding_ratio"] >= LARGE_PART - 1e-9
    assert (frame.loc[~large, "winning_ratio"] == 0).all()
    auctions = frame.groupby("bidder_id")["bidder_id"].transform("size")
    won = (auctions * (1 - frame["winning_ratio"]))[large]
    assert np.abs(won - won.round()).max() < 1e-6
    assert won.groupby(frame["bidder_id"]).nunique().max() == 1


@pytest.mark.uci
def test_the_published_tendencies_obey_the_definition(uci: Dataset) -> None:
    bids = _bids(uci.frame)
    his_bids = bids.groupby(uci.frame["bidder_id"]).transform("sum")
    expected = (bids / his_bids).where(his_bids > 1, 0.0)
    # Shares alone do not tell 3 bids of 15 from 1 of 5, so few counts are ambiguous.
    agrees = (expected - uci.frame["bidder_tendency"]).abs() < 1e-6
    assert agrees.mean() > 0.9


def _bids(frame: pd.DataFrame) -> "pd.Series[float]":
    """Guess each record's number of bids: the fewest that give the auction's shares."""

    totals = np.arange(5, 100)[:, np.newaxis]

    def fewest(shares: "pd.Series[float]") -> NDArray[np.float64]:
        bids = totals * shares.to_numpy()
        whole = np.abs(bids - bids.round()).max(axis=1) < 1e-4
        return bids[whole.argmax()].round()

    return frame.groupby("auction_id")["bidding_ratio"].transform(fewest)
