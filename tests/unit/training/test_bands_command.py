from pathlib import Path

import pytest

from flask_app.cli import main
from flask_app.model.bands import BLOCK_HONEST
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import load_version
from flask_app.store.directory_store import DirectoryStore
from flask_app.training.card import bands_table, with_bands
from tests.bundles import make_bundle


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "models", Bundle)
    store.promote(store.publish(make_bundle(tmp_path)))
    monkeypatch.setenv("SHILL_MODEL_STORE", str(store.path))
    return store


def test_it_shows_what_each_threshold_does(
    store: DirectoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    (version,) = store.versions()
    bands = store.manifest(version).bands

    assert main(["bands"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 + len(bands.table)
    assert [line.split()[0] for line in lines[1:3]] == ["review", "block"]
    assert f"{bands.review.threshold:.5f}" in lines[1]


def test_other_shares_make_a_version_of_their_own_and_leave_production_alone(
    store: DirectoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    (before,) = store.versions()

    assert main(["bands", "--review", "0.2"]) == 0

    written = capsys.readouterr().out.split()[0]
    assert set(store.versions()) == {before, written}
    production = store.production()
    assert production is not None
    assert production.version == before
    bands = load_version(store, written).manifest.bands
    assert bands.review.honest_flagged == pytest.approx(0.2, abs=0.01)
    assert bands.block.honest_flagged <= BLOCK_HONEST
    assert bands.review.threshold < bands.block.threshold


def test_the_card_gets_the_new_bands_and_keeps_the_rest(store: DirectoryStore) -> None:
    (version,) = store.versions()
    bands = store.manifest(version).bands
    card = "# Model\n\n## Bands\n\nold\nlines\n\n## What it was trained on\n\nrest\n"

    changed = with_bands(card, bands)

    assert changed == (
        f"# Model\n\n## Bands\n\n{bands_table(bands)}## What it was trained on\n\nrest\n"
    )


def test_an_impossible_share_is_refused(
    store: DirectoryStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bands", "--review", "0.1", "--block", "0.5"]) == 1
    assert "review=0.1, block=0.5: shares of honest records" in capsys.readouterr().err
    assert len(store.versions()) == 1
