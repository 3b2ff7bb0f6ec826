"""A snapshot is verified before it is used, and only read."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest

from flask_app.errors import BundleError, ChecksumError
from flask_app.profiles.snapshot import DATABASE, Bidder, Category, Market, Profiles, Snapshot
from flask_app.simulator.simulation import hold_auctions
from flask_app.store.bundle import MANIFEST, write
from tests.profiles import UNTIL, make_profiles


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    simulated = hold_auctions(12, seed=1)
    return make_profiles(tmp_path, simulated.auctions, simulated.bids)


def _edit(snapshot: Path, change: Callable[[dict[str, object]], object]) -> None:
    manifest = json.loads((snapshot / MANIFEST).read_text())
    change(manifest)
    (snapshot / MANIFEST).write_text(json.dumps(manifest))


def test_a_snapshot_says_what_it_adds_up(snapshot: Path) -> None:
    simulated = hold_auctions(12, seed=1)
    manifest = Profiles.load(snapshot).manifest
    assert (manifest.auctions, manifest.bids) == (12, len(simulated.bids))
    assert manifest.bidders == simulated.bids["bidder_id"].nunique()
    assert manifest.until == UNTIL
    assert manifest.version == snapshot.name


def test_histories_add_up_to_the_tables(snapshot: Path) -> None:
    simulated = hold_auctions(12, seed=1)
    bids = simulated.bids.merge(simulated.auctions[["auction_id", "seller_id", "item_category"]])
    profiles = Profiles.load(snapshot)
    assert profiles.market == Market(12, len(bids))
    for (bidder, seller), placed in bids.groupby(["bidder_id", "seller_id"]):
        found = profiles.bidder(bidder, profiles.seller(seller))
        assert found is not None
        his = bids[bids["bidder_id"] == bidder]
        assert found.auctions == his["auction_id"].nunique()
        assert (found.bids, found.bids_with_seller) == (len(his), len(placed))
    highest = bids.sort_values("amount").groupby("auction_id").tail(1)
    for bidder in bids["bidder_id"].unique():
        found = profiles.bidder(bidder, None)
        assert found is not None
        assert found.won == (highest["bidder_id"] == bidder).sum()
        assert found.bids_with_seller == 0
    assert all(profiles.holds(name) for name in simulated.auctions["auction_id"])


def test_what_a_snapshot_does_not_have_is_told_apart(snapshot: Path) -> None:
    profiles = Profiles.load(snapshot)
    assert profiles.bidder("nobody", None) is None
    assert profiles.seller("nobody") is None
    assert not profiles.holds("none")
    assert profiles.category("none") == Category(0, 0.0)


def test_no_auctions_make_an_empty_snapshot(tmp_path: Path) -> None:
    simulated = hold_auctions(3, seed=1)
    profiles = Profiles.load(make_profiles(tmp_path, simulated.auctions, simulated.bids.iloc[:0]))
    assert profiles.market == Market(0, 0)


def test_the_same_auctions_make_the_same_version(tmp_path: Path) -> None:
    versions = []
    simulated = hold_auctions(12, seed=1)
    for seed in (0, 1):
        directory = tmp_path / str(len(versions))
        directory.mkdir()
        shuffled = (
            table.sample(frac=1, random_state=seed)
            for table in (simulated.auctions, simulated.bids)
        )
        versions.append(make_profiles(directory, *shuffled).name)
    assert versions[0] == versions[1]


def test_names_in_any_script_keep_their_histories(tmp_path: Path) -> None:
    name = "ставка'出价\"\x00" + "é" * 100
    auctions = hold_auctions(12, seed=1).auctions.head(1)
    auctions = auctions.assign(auction_id="x", item_category=name)
    bids = pd.DataFrame(
        {
            "bid_id": ["1"],
            "auction_id": ["x"],
            "bidder_id": [name],
            "amount": [5.0],
            "placed_at": auctions["opened_at"],
        }
    )
    profiles = Profiles.load(make_profiles(tmp_path, auctions, bids))
    assert profiles.bidder(name, None) == Bidder(1, 1, 1, 0)
    assert profiles.category(name).auctions == 1


def test_a_snapshot_in_use_may_be_read_by_another_thread_than_loaded_it(snapshot: Path) -> None:
    loaded: list[Profiles] = []
    thread = Thread(target=lambda: loaded.append(Profiles.load(snapshot)))
    thread.start()
    thread.join()
    assert loaded[0].bidder("nobody", None) is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.update(schema_version=2), "schema_version 2 is unknown, this release reads 1"),
        (lambda m: m.update(record_schema="0" * 12), "make the profiles anew"),
        (lambda m: m["files"].clear(), f"does not list {DATABASE}"),
        (lambda m: m.update(auctions=1), "does not belong to its content"),
        (lambda m: m.pop("until"), "not a manifest"),
    ],
)
def test_each_fault_of_a_manifest_has_its_own_message(
    snapshot: Path, change: Callable[[dict[str, object]], object], complaint: str
) -> None:
    _edit(snapshot, change)
    with pytest.raises(BundleError, match=complaint):
        Profiles.load(snapshot)


def test_an_altered_database_is_not_opened(snapshot: Path) -> None:
    with (snapshot / DATABASE).open("r+b") as file:
        file.seek(3000)
        file.write(b"!")
    with pytest.raises(ChecksumError, match=DATABASE):
        Profiles.load(snapshot)


@pytest.mark.parametrize("content", [b"", b"not a database" * 99])
def test_what_is_no_database_is_told(snapshot: Path, tmp_path: Path, content: bytes) -> None:
    draft = Snapshot.open(snapshot).manifest
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other", Snapshot, draft, {DATABASE: content})
    with pytest.raises(BundleError, match="no database of profiles"):
        Profiles.load(other)


def test_a_missing_file_is_told(snapshot: Path) -> None:
    (snapshot / DATABASE).unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        Profiles.load(snapshot)


def test_nothing_is_written_beside_a_snapshot_in_use(snapshot: Path) -> None:
    profiles = Profiles.load(snapshot)
    profiles.bidder("nobody", None)
    assert sorted(path.name for path in snapshot.iterdir()) == [MANIFEST, DATABASE]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        profiles._execute("DELETE FROM market")
