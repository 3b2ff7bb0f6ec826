from pathlib import Path

import pytest

from flask_app.cli import main
from flask_app.data.dataset import read_csv, to_csv
from flask_app.simulator.simulation import simulate
from flask_app.training.candidates import CANDIDATES
from flask_app.training.train import train
from tests.bundles import make_bundle


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_bytes(to_csv(simulate(auctions=30, seed=1).frame))
    return path


def test_a_bundle_is_measured_on_the_given_data(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path)

    assert main(["evaluate", "--model", str(bundle), "--data", str(data)]) == 0

    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["model", "data", "ROC", "AUC"]
    assert row.split()[:2] == [bundle.name, "custom"]
    assert all(0 <= float(value) <= 1 for value in row.split()[2:])


def test_the_distance_of_the_training_data_is_told_by_feature(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path)

    assert main(["evaluate", "--model", str(bundle), "--data", str(data), "--distances"]) == 0

    out = capsys.readouterr().out
    assert "Wasserstein distances" in out
    assert out.splitlines()[-1].split()[0] == "auction_duration"


def test_figures_on_the_training_data_are_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = simulate(auctions=100, seed=0)
    path = tmp_path / "data.csv"
    path.write_bytes(to_csv(dataset.frame))
    quick = {"logistic_regression": CANDIDATES["logistic_regression"]}
    trained = train(read_csv(path), 0, tmp_path, candidates=quick)

    assert main(["evaluate", "--model", str(trained.directory), "--data", str(path)]) == 0

    assert "trained on this very data" in capsys.readouterr().err


def test_without_a_promoted_model_evaluate_says_so(
    tmp_path: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SHILL_MODEL_STORE", str(tmp_path / "empty"))

    assert main(["evaluate", "--data", str(data)]) == 1

    assert "no version is in production" in capsys.readouterr().err
