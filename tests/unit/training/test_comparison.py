"""A candidate takes the place of the model in production only if it is as good."""

import io
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from flask_app.cli import main
from flask_app.commands import train as command
from flask_app.data.dataset import Dataset, to_csv
from flask_app.model import bundle
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES
from flask_app.store.bundle import MANIFEST, write
from flask_app.store.directory_store import DirectoryStore
from flask_app.training.comparison import compare
from tests.bundles import THRESHOLD, make_bundle


def copy(of: Bundle, parent: Path, *, threshold: float = THRESHOLD, **files: bytes) -> Bundle:
    """Write a bundle like `of`, but for its threshold or some of its files."""
    changed = bundle.Threshold(value=threshold, rule="for tests")
    draft = msgspec.structs.replace(of.manifest, threshold=changed)
    kept = {name: data for name, data in of.contents().items() if name != MANIFEST}
    return Bundle.open(write(parent, Bundle, draft, {**kept, **files}))


def reference(of: Bundle) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(of.read(bundle.REFERENCE)))


@pytest.fixture
def good(tmp_path: Path) -> Bundle:
    return Bundle.open(make_bundle(tmp_path))


@pytest.fixture
def blind(good: Bundle, tmp_path: Path) -> Bundle:
    """Finds hardly a shill."""
    return copy(good, tmp_path, threshold=0.95)


def test_a_better_candidate_is_accepted_and_a_worse_one_is_not(good: Bundle, blind: Bundle) -> None:
    better, worse = compare(good, blind), compare(blind, good)

    assert better.low > 0.1
    assert better.is_acceptable
    assert worse.high < -0.1
    assert not worse.is_acceptable


def test_models_that_call_the_same_records_are_equal(good: Bundle, tmp_path: Path) -> None:
    twin = copy(good, tmp_path, threshold=float(np.nextafter(THRESHOLD, 1)))

    comparison = compare(twin, good)

    assert (comparison.low, comparison.high) == (0, 0)
    assert comparison.candidate == comparison.production
    assert comparison.is_acceptable


def test_what_a_model_was_trained_on_is_judged_out_of_fold(good: Bundle, tmp_path: Path) -> None:
    records = reference(good)
    out_of_fold = records.assign(probability=np.random.default_rng(0).random(len(records)))
    known = copy(good, tmp_path, **{bundle.REFERENCE: out_of_fold.to_parquet()})

    comparison = compare(good, known)

    called = out_of_fold["probability"] >= THRESHOLD
    assert comparison.production == pytest.approx(f1_score(records["is_shill"], called))


def test_out_of_fold_each_fold_has_a_threshold_of_its_own(good: Bundle, tmp_path: Path) -> None:
    records = reference(good)
    by_fold = records.assign(prediction=records["is_shill"])
    candidate = copy(good, tmp_path, **{bundle.REFERENCE: by_fold.to_parquet()})

    assert compare(candidate, good).candidate == 1


def test_what_a_model_does_not_know_it_predicts(good: Bundle, tmp_path: Path) -> None:
    candidate = Bundle.open(make_bundle(tmp_path, seed=1))

    comparison = compare(candidate, good)

    records, predictor = reference(candidate), Predictor.load(good.directory)
    called = predictor.predict(records[list(FEATURES)].to_numpy(np.float32)) >= THRESHOLD
    assert comparison.production == pytest.approx(f1_score(records["is_shill"], called))
    assert comparison.low < comparison.candidate - comparison.production < comparison.high
    assert comparison.auctions == 50


def test_the_same_record_of_another_auction_is_not_known(good: Bundle, tmp_path: Path) -> None:
    elsewhere = reference(good).assign(probability=0.0)
    elsewhere["auction_id"] = "x" + elsewhere["auction_id"]
    production = copy(good, tmp_path, **{bundle.REFERENCE: elsewhere.to_parquet()})

    assert compare(good, production).production > 0.5


class Registry:
    """A store, and a candidate in it that `train` gives."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = DirectoryStore(path / "store", Bundle)
        self._monkeypatch = monkeypatch

    def begin_with(self, production: Bundle) -> None:
        self.store.promote(self.store.publish(production.directory))

    def promote(self, candidate: Bundle, *options: str) -> int:
        version = self.store.publish(candidate.directory)
        # As if it had been trained before.
        self._monkeypatch.setattr(command, "find_trained", lambda *_: version)
        return main(["train", "--promote", *options])

    @property
    def production(self) -> str:
        pointer = self.store.production()
        assert pointer is not None
        return pointer.version


@pytest.fixture
def registry(simulated: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    (tmp_path / "data.csv").write_bytes(to_csv(simulated.frame))
    monkeypatch.setenv("SHILL_MODEL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SHILL_DATASET", str(tmp_path / "data.csv"))
    return Registry(tmp_path, monkeypatch)


def test_a_candidate_that_is_as_good_is_promoted(
    registry: Registry, good: Bundle, blind: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.begin_with(blind)

    assert registry.promote(good) == 0

    said = capsys.readouterr().out
    assert "of the model in production, on the same 50 auctions: +0." in said
    assert registry.production == good.manifest.version


def test_one_that_may_be_worse_is_promoted_only_in_the_name_of_the_other(
    registry: Registry, good: Bundle, blind: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.begin_with(good)
    best = good.manifest.version

    assert registry.promote(blind) == 1

    said = capsys.readouterr().err
    assert f"it is not shown to be as good as {best}, within 0.01 of F1" in said
    assert f"add --instead-of {best}" in said
    assert registry.production == best
    assert registry.promote(blind, "--instead-of", blind.manifest.version) == 1
    assert registry.production == best
    assert registry.promote(blind, "--instead-of", best) == 0
    assert registry.production == blind.manifest.version


def test_a_damaged_model_is_not_replaced_unasked(
    registry: Registry, good: Bundle, blind: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.begin_with(blind)
    version = registry.production
    (registry.store.path / version / bundle.REFERENCE).unlink()

    assert registry.promote(good) == 1

    assert f"{version} cannot be compared with: " in capsys.readouterr().out
    assert registry.production == version
    assert registry.promote(good, "--instead-of", version) == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--instead-of", "tests-0123456789ab"], "--instead-of says nothing without --promote"),
        (["--since", "2026-11-01T00:00:00Z"], "--since says nothing without --labels"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *options]) == 1
    assert complaint in capsys.readouterr().err
