"""Fixtures that every level of the tests shares."""

import os
from pathlib import Path

import pytest

from flask_app.data.dataset import Dataset, read_csv

_ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def uci_path() -> Path:
    """The real dataset: SHILL_DATASET, or the reference data beside the checkout."""
    named = os.environ.get("SHILL_DATASET")
    path = Path(named) if named else _ROOT.parent / "shared/data/shill_bidding_uci562.csv"
    if not path.is_file():
        pytest.skip(f"UCI 562 is not at {path}: set SHILL_DATASET to its path")
    return path


@pytest.fixture(scope="session")
def uci(uci_path: Path) -> Dataset:
    """The real dataset, read."""
    return read_csv(uci_path)
