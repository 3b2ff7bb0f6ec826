"""`profiles`: from an auction site's tables to a snapshot in use."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from flask_app.cli import main
from flask_app.profiles.snapshot import DATABASE, Manifest, Profiles, Snapshot, open_store
from flask_app.settings import Settings
from flask_app.store.directory_store import DirectoryStore
from tests.s3 import BUCKET, S3


@pytest.fixture
def site(tmp_path: Path) -> Path:
    assert main(["simulate", "--auctions", "8", "--bids", str(tmp_path / "site")]) == 0
    return tmp_path / "site"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore[Manifest]:
    store = DirectoryStore(tmp_path / "profiles", Snapshot)
    monkeypatch.setenv("SHILL_PROFILE_STORE", str(store.path))
    return store


def make(site: Path, *options: str) -> int:
    tables = ["--auctions", str(site / "auctions.csv"), "--bids", str(site / "bids.csv")]
    return main(["profiles", "make", *tables, *options])


def test_made_profiles_are_in_use(
    site: Path, store: DirectoryStore[Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(site) == 0
    pointer = store.production()
    assert pointer is not None
    profiles = Profiles.load(store.fetch(pointer.version))
    assert profiles.manifest.auctions == 8
    assert abs(datetime.now(UTC) - profiles.manifest.until).total_seconds() < 600
    assert f"{pointer.version}: 8 auctions" in capsys.readouterr().out


def test_open_auctions_are_left_for_later(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    auctions = pd.read_csv(site / "auctions.csv", dtype=str)
    auctions.loc[0, "closes_at"] = f"{datetime.now(UTC).year + 1}-01-01T00:00:00Z"
    auctions.loc[0, "opened_at"] = "2026-06-01T00:00:00Z"
    bids = pd.read_csv(site / "bids.csv", dtype=str)
    bids = bids[bids["auction_id"] != auctions.loc[0, "auction_id"]]
    auctions.to_csv(site / "auctions.csv", index=False)
    bids.to_csv(site / "bids.csv", index=False)
    assert make(site) == 0
    assert "7 auctions" in (out := capsys.readouterr().out)
    assert "1 auctions are still open" in out


def test_the_snapshot_before_can_be_taken_back(
    site: Path, store: DirectoryStore[Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(site) == 0
    first = store.production()
    bids = (site / "bids.csv").read_text().splitlines()
    (site / "bids.csv").write_text("\n".join(bids[:-1]) + "\n")
    assert make(site, "--no-promote") == 0
    (other,) = {*store.versions()} - {first.version}
    assert store.production() == first
    assert main(["profiles", "promote", other]) == 0
    assert main(["profiles", "rollback"]) == 0
    assert store.production().version == first.version
    capsys.readouterr()
    assert main(["profiles", "list"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("*")]
    assert first.version in line


def test_a_damaged_snapshot_is_neither_promoted_nor_passed_over(
    site: Path, store: DirectoryStore[Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(site, "--no-promote") == 0
    (version,) = store.versions()
    database = store.path / version / DATABASE
    database.chmod(0o644)
    database.write_bytes(b"x" + database.read_bytes()[1:])
    assert main(["profiles", "promote", version]) == 1
    assert store.production() is None
    (store.path / version / "manifest.json").chmod(0o644)
    (store.path / version / "manifest.json").write_text("{}")
    assert main(["profiles", "list"]) == 1
    assert f"{version} is damaged" in capsys.readouterr().err


def test_wrong_tables_change_nothing(
    site: Path, store: DirectoryStore[Manifest], capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "bids.csv").write_text("bid_id,auction_id,bidder_id,amount,placed_at\n1,none,a,5,x\n")
    assert make(site) == 1
    assert "placed_at" in capsys.readouterr().err
    assert store.versions() == ()


def test_profiles_may_be_in_s3(
    site: Path, tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHILL_PROFILE_STORE", f"s3://{BUCKET}/profiles")
    monkeypatch.setenv("SHILL_PROFILE_CACHE", str(tmp_path / "cache"))
    assert make(site) == 0
    server = open_store(Settings.from_environment())
    pointer = server.production()
    assert pointer is not None
    profiles = Profiles.load(server.fetch(pointer.version), manifest_sha256=pointer.manifest_sha256)
    assert profiles.manifest.auctions == 8
    assert f"profiles/{pointer.version}/{DATABASE}" in s3.objects("profiles/")
