"""An auction scored as it runs has the records that the whole tables give it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_app.bids.features import compute
from flask_app.bids.tables import DAY, Auction
from flask_app.profiles.live import Bid, LiveRecord, follow, records
from flask_app.profiles.snapshot import Profiles
from flask_app.record import FEATURES
from flask_app.simulator.simulation import hold_auctions
from tests.profiles import make_profiles

TENDENCY, WINNING = FEATURES.index("bidder_tendency"), FEATURES.index("winning_ratio")
OPENED = 1_767_225_600 * 10**6

# Few of everything: bidders meet again, amounts and moments are equal.
BIDS = st.lists(
    st.tuples(
        st.sampled_from("wxyz"), st.sampled_from("abc"), st.integers(1, 4), st.integers(0, 5)
    ),
    min_size=1,
    max_size=40,
)
AUCTIONS = st.fixed_dictionaries(
    {
        name: st.tuples(
            st.sampled_from("st"),
            st.sampled_from([None, "cars"]),
            st.sampled_from([1.0, 70.0]),
        )
        for name in "wxyz"
    }
)


def _tables(
    auctions: dict[str, tuple[str, str | None, float]], bids: list[tuple[str, str, int, int]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    held = pd.DataFrame(
        [(name, *rest) for name, rest in auctions.items()],
        columns=["auction_id", "seller_id", "item_category", "starting_price"],
    ).assign(opened_at=OPENED, closes_at=OPENED + 5 * DAY)
    held["item_category"] = held["item_category"].astype(object).where(lambda of: of.notna(), None)
    placed = pd.DataFrame(bids, columns=["auction_id", "bidder_id", "amount", "day"])
    placed["amount"] = placed["amount"].astype(float)
    placed["placed_at"] = OPENED + placed.pop("day") * DAY
    placed["bid_id"] = [str(number) for number in range(len(placed))]
    return held, placed


def _live(
    auctions: pd.DataFrame, bids: pd.DataFrame, name: str, profiles: Profiles
) -> list[LiveRecord]:
    (row,) = auctions[auctions["auction_id"] == name].to_dict("records")
    category = row["item_category"]
    auction = Auction(
        name,
        row["seller_id"],
        category if isinstance(category, str) else None,
        row["starting_price"],
        row["opened_at"],
        row["closes_at"],
    )
    placed = [
        Bid(row.bid_id, row.bidder_id, row.amount, row.placed_at)
        for row in bids[bids["auction_id"] == name].itertuples()
    ]
    return list(records(auction, follow(placed), profiles))


def _agree(auctions: pd.DataFrame, bids: pd.DataFrame, name: str, profiles: Profiles) -> int:
    """Check an auction's records against those of the whole tables; returns how many are known."""
    whole = compute(auctions, bids)
    whole = whole[whole["auction_id"] == name].set_index("bidder_id")[[*FEATURES]]
    live = _live(auctions, bids, name, profiles)
    assert sorted(record.bidder_id for record in live) == sorted(whole.index)
    for record in live:
        expected = whole.loc[record.bidder_id].to_numpy().copy()
        if not record.known:
            expected[[TENDENCY, WINNING]] = 0.0
        np.testing.assert_allclose(record.features, expected, rtol=0, atol=1e-9)
    return sum(record.known for record in live)


@given(AUCTIONS, BIDS, st.booleans())
@settings(max_examples=25)
def test_an_auction_has_the_records_of_the_whole_tables(
    auctions: dict[str, tuple[str, str | None, float]],
    bids: list[tuple[str, str, int, int]],
    among_them: bool,
) -> None:
    held, placed = _tables(auctions, bids)
    name = bids[-1][0]
    before = held["auction_id"].notna() if among_them else held["auction_id"] != name
    earlier = placed[placed["auction_id"].isin(held[before]["auction_id"])]
    with TemporaryDirectory() as directory:
        profiles = Profiles.load(make_profiles(Path(directory), held[before], earlier))
        _agree(held, placed, name, profiles)


def test_simulated_auctions_have_the_records_of_the_whole_tables(tmp_path: Path) -> None:
    simulated = hold_auctions(60, seed=5)
    auctions, bids = simulated.auctions, simulated.bids
    names = auctions["auction_id"].tolist()[-15:]
    known = 0
    for name in names:
        earlier = auctions["auction_id"] != name
        directory = tmp_path / name
        directory.mkdir()
        snapshot = make_profiles(directory, auctions[earlier], bids[bids["auction_id"] != name])
        known += _agree(auctions, bids, name, Profiles.load(snapshot))
    assert known > len(names)


@pytest.fixture
def profiles(tmp_path: Path) -> Profiles:
    held, placed = _tables(
        {"w": ("s", None, 4.0)}, [("w", "a", 1, 0), ("w", "b", 2, 1), ("w", "a", 3, 2)]
    )
    return Profiles.load(make_profiles(tmp_path, held, placed))


def test_a_bidder_without_a_history_shows_nothing(profiles: Profiles) -> None:
    held, placed = _tables({"x": ("s", None, 4.0)}, [("x", "new", 1, 0), ("x", "new", 2, 1)])
    (record,) = _live(held, placed, "x", profiles)
    assert not record.known
    assert (record.features[TENDENCY], record.features[WINNING]) == (0.0, 0.0)


def test_an_auction_without_bids_has_no_records(profiles: Profiles) -> None:
    held, placed = _tables({"x": ("s", None, 4.0)}, [])
    assert _live(held, placed, "x", profiles) == []


def test_an_auction_may_have_changed_its_category_since(profiles: Profiles) -> None:
    held, placed = _tables({"w": ("s", "cars", 4.0)}, [("w", "a", 1, 0)])
    (record,) = _live(held, placed, "w", profiles)
    assert record.features[FEATURES.index("starting_price_average")] == 0.0


def test_bids_may_come_in_any_order() -> None:
    bids = [Bid(str(number), bidder, 10.0 + number, number) for number, bidder in enumerate("abba")]
    assert sorted(follow(bids[::-1]).parts) == sorted(follow(bids).parts)
    assert follow(bids[::-1]).leader == "a"
