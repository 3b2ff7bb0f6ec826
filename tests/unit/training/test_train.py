import io
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from flask_app.data.dataset import Dataset
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES
from flask_app.store.bundle import MANIFEST
from flask_app.store.directory_store import DirectoryStore
from flask_app.training.candidates import CANDIDATES
from flask_app.training.golden import golden_rows
from flask_app.training.provenance import find_trained, provenance
from flask_app.training.selection import Examples
from flask_app.training.train import Trained, train

QUICK = {"logistic_regression": CANDIDATES["logistic_regression"]}


@pytest.fixture(scope="module")
def trained(simulated: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(simulated, 0, tmp_path_factory.mktemp("trained"), candidates=QUICK)


@pytest.fixture
def store(trained: Trained, tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "store", Bundle)
    store.publish(trained.directory)
    return store


def test_a_trained_bundle_loads_and_scores_as_the_estimator_did(
    trained: Trained, examples: Examples
) -> None:
    predictor = Predictor.load(trained.directory)

    probabilities = predictor.predict(examples.rows)

    assert trained.difference < 1e-6
    assert probabilities[examples.labels == 1].mean() > 0.5 > probabilities.mean()


def test_the_manifest_describes_data_and_choice(trained: Trained, simulated: Dataset) -> None:
    manifest = trained.manifest

    assert manifest.dataset.name == "simulated"
    assert manifest.dataset.sha256 == simulated.sha256
    assert manifest.dataset.rows == len(simulated.frame)
    assert manifest.dataset.auctions == 100
    assert manifest.dataset.shill_share == pytest.approx(simulated.frame["is_shill"].mean())
    for feature in manifest.features:
        assert feature.minimum == pytest.approx(simulated.frame[feature.name].min())
        assert feature.maximum == pytest.approx(simulated.frame[feature.name].max())
    assert manifest.estimator == manifest.candidates[0].name == "logistic_regression"
    assert 0 < manifest.threshold.value < 1
    assert manifest.metrics.roc_auc > 0.9
    assert manifest.training.libraries["scikit-learn"]


def test_the_same_data_and_seed_give_the_same_bytes(
    trained: Trained, simulated: Dataset, tmp_path: Path
) -> None:
    again = train(simulated, 0, tmp_path, candidates=QUICK)

    assert again.directory.name == trained.directory.name
    for name in trained.manifest.files:
        assert (again.directory / name).read_bytes() == (trained.directory / name).read_bytes()


def test_another_seed_gives_another_version(
    trained: Trained, simulated: Dataset, tmp_path: Path
) -> None:
    assert train(simulated, 1, tmp_path, candidates=QUICK).directory.name != trained.directory.name


def test_the_reference_is_the_training_data_with_out_of_fold_probabilities(
    trained: Trained, simulated: Dataset
) -> None:
    content = Bundle.open(trained.directory).read("reference.parquet")
    reference = pd.read_parquet(io.BytesIO(content))

    assert list(reference) == ["auction_id", *FEATURES, "is_shill", "probability", "prediction"]
    assert reference["auction_id"].tolist() == simulated.frame["auction_id"].tolist()
    assert reference["is_shill"].tolist() == simulated.frame["is_shill"].tolist()
    assert reference["probability"].between(0, 1).all()


def test_the_card_tells_the_figures_and_shows_the_plots(trained: Trained) -> None:
    card = (trained.directory / "MODEL_CARD.md").read_text()

    assert trained.manifest.dataset.sha256 in card
    assert f"{trained.manifest.metrics.brier:.5f}" in card
    assert f"{trained.manifest.threshold.value:.4f}" in card
    assert "auctions are simulated" in card
    for name in ("precision-recall.png", "calibration.png"):
        assert f"({name})" in card
        assert (trained.directory / name).read_bytes().startswith(b"\x89PNG")


def test_golden_rows_span_ranges_probabilities_and_threshold(examples: Examples) -> None:
    def score(rows: np.ndarray) -> np.ndarray:
        return rows[:, :8].mean(axis=1, dtype=np.float64)

    golden = golden_rows(examples.rows, score, threshold=0.3)

    rows = np.array([list(row.features.values()) for row in golden], dtype=np.float32)
    given = np.array([row.probability for row in golden])
    everything = score(examples.rows)
    assert len(golden) >= 16
    assert len(np.unique(rows, axis=0)) == len(golden)
    assert given.tolist() == score(rows).tolist()
    assert {tuple(row) for row in rows} >= {
        tuple(examples.rows.min(axis=0)),
        tuple(examples.rows.max(axis=0)),
    }
    assert given.min() <= everything.min()
    assert given.max() >= everything.max()
    nearest = np.sort(np.abs(np.unique(everything) - 0.3))[:4]
    assert np.sort(np.abs(given - 0.3))[:4] == pytest.approx(nearest)


def test_a_model_with_two_levels_has_golden_rows_too(examples: Examples) -> None:
    golden = golden_rows(examples.rows, lambda rows: (rows[:, 2] > 0).astype(np.float64), 0.5)

    assert len({tuple(row.features.values()) for row in golden}) == len(golden) == 21


def test_a_golden_row_is_written_in_decimals_that_give_the_same_float32(
    trained: Trained, examples: Examples
) -> None:
    written = {row.features["bidding_ratio"] for row in trained.manifest.golden_rows}

    assert {np.float32(value) for value in written} <= set(examples.rows[:, 1]) | {
        np.float32(np.median(examples.rows[:, 1]))
    }
    assert all(len(str(value)) <= len("0.123456789") for value in written if value > 1e-3)


def test_a_training_done_before_is_found_again(
    trained: Trained, simulated: Dataset, store: DirectoryStore
) -> None:
    assert find_trained(store, provenance(simulated, 0, QUICK)) == trained.directory.name


def test_another_seed_other_data_or_other_candidates_are_another_training(
    simulated: Dataset, store: DirectoryStore
) -> None:
    other = Dataset(simulated.name, "0" * 64, simulated.frame)
    frame = simulated.frame.assign(bidding_ratio=simulated.frame["winning_ratio"])
    other_columns = Dataset(simulated.name, simulated.sha256, frame)

    assert find_trained(store, provenance(simulated, 1, QUICK)) is None
    assert find_trained(store, provenance(other, 0, QUICK)) is None
    assert find_trained(store, provenance(other_columns, 0, QUICK)) is None
    assert find_trained(store, provenance(simulated, 0, CANDIDATES)) is None


@pytest.mark.parametrize("name", ["model.onnx", MANIFEST])
def test_a_damaged_bundle_is_not_taken_for_a_training(
    trained: Trained, simulated: Dataset, store: DirectoryStore, name: str
) -> None:
    path = store.fetch(trained.directory.name) / name
    path.chmod(0o644)
    path.write_bytes(b"damaged")

    assert find_trained(store, provenance(simulated, 0, QUICK)) is None


def test_the_version_does_not_depend_on_when_it_was_made(trained: Trained) -> None:
    earlier = msgspec.structs.replace(
        trained.manifest, created_at=trained.manifest.created_at.replace(year=2000)
    )

    assert earlier.content_version() == trained.directory.name
