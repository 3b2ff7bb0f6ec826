"""The examples of docs/own-model.md, run as they are printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flask_app.model.bundle import Bundle
from flask_app.simulator.simulation import simulate
from flask_app.store.directory_store import DirectoryStore
from tests.integration.test_new_feature import LINE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/own-model.md").read_text()


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("own")
    (directory / "our_models.py").write_text(blocks("python")[0])
    titles = {"auction_id": "Lot", "bidder_id": "account", "is_shill": "fraud"}
    frame = simulate(auctions=100, seed=0).frame.rename(columns=titles)
    frame.assign(country="de").to_csv(directory / "our_auctions.csv", index=False)
    return directory


def test_a_model_and_a_dataset_of_ones_own_are_trained_and_evaluated(directory: Path) -> None:
    model, dataset = (re.findall(r"^\$ (.*)", block, re.MULTILINE) for block in blocks("console"))
    # The dataset's lines first: nothing is trained twice, and no data are downloaded.
    exports = [line for line in (*dataset, *model) if line.startswith("export ")]
    commands = [line for line in dataset if not line.startswith("export ")]
    assert [line for line in model if line not in exports] == commands[:1]
    # As if the package were installed.
    shill = f'shill() {{ PYTHONPATH="$PYTHONPATH:{ROOT}" "{sys.executable}" -m flask_app "$@"; }}'
    done = subprocess.run(
        ["bash", "-euc", "\n".join([shill, *exports, *commands])],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    store = DirectoryStore(directory / "models", Bundle)
    (version,) = store.versions()
    assert version.startswith("custom-")
    manifest = Bundle.open(store.path / version).manifest
    assert [item.name for item in manifest.candidates] == ["logistic_regression", "extra_trees"]
    assert manifest.dataset.rows == len((directory / "our_auctions.csv").read_text().split()) - 1


def test_the_line_of_a_feature_is_the_one_that_is_tested() -> None:
    assert blocks("python")[1] == LINE
