"""Training as it is run, in processes of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flask_app.data.dataset import to_csv
from flask_app.model.bundle import Bundle
from flask_app.simulator.simulation import simulate
from flask_app.store.directory_store import DirectoryStore

ROOT = Path(__file__).parents[2]


def shill(*arguments: str, store: Path, dataset: Path, **environment: str) -> str:
    """Run a command; returns what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "flask_app", *arguments],
        cwd=ROOT,
        env=os.environ
        | {"SHILL_MODEL_STORE": str(store), "SHILL_DATASET": str(dataset)}
        | environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.csv"
    path.write_bytes(to_csv(simulate(auctions=100, seed=0).frame))
    return path


def test_every_process_trains_the_same_model_and_none_twice(dataset: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"

    two_of_all = {"SHILL_CANDIDATES": "logistic_regression,random_forest"}
    first = shill(
        "train", "--promote", store=one, dataset=dataset, PYTHONHASHSEED="1", **two_of_all
    )
    repeated = shill("train", "--promote", store=one, dataset=dataset, **two_of_all)
    shill("train", store=two, dataset=dataset, PYTHONHASHSEED="2", **two_of_all)

    (version,) = DirectoryStore(one, Bundle).versions()
    assert DirectoryStore(two, Bundle).versions() == (version,)
    sums = [Bundle.open(path / version).manifest.files for path in (one, two)]
    assert sums[0] == sums[1]

    assert "the procedure" in first
    assert f"{version} is there already" in repeated
    pointer = DirectoryStore(one, Bundle).production()
    assert pointer is not None
    assert pointer.version == version
    assert DirectoryStore(two, Bundle).production() is None


@pytest.mark.uci
def test_the_real_data_is_learnt_as_well_as_promised(uci_path: Path, tmp_path: Path) -> None:
    shill("train", store=tmp_path, dataset=uci_path)

    (version,) = DirectoryStore(tmp_path, Bundle).versions()
    manifest = Bundle.open(tmp_path / version).manifest
    assert version.startswith("uci562-")
    assert manifest.metrics.roc_auc >= 0.9995
    assert manifest.metrics.f1 >= 0.985
    assert manifest.metrics.brier <= 0.003


@pytest.mark.uci
def test_what_is_learnt_from_simulated_auctions_holds_for_real_ones(
    uci_path: Path, tmp_path: Path
) -> None:
    simulated = tmp_path / "simulated.csv"
    arguments = ("--auctions", "300", "--output", str(simulated))
    shill("simulate", *arguments, store=tmp_path, dataset=uci_path)
    # The candidate that wins, alone: this is about the data.
    winner = {"SHILL_CANDIDATES": "smoothed_forest"}
    shill("train", "--promote", store=tmp_path, dataset=simulated, **winner)

    table = shill("evaluate", "--data", str(uci_path), store=tmp_path, dataset=simulated)

    assert float(table.splitlines()[1].split()[2]) >= 0.95
