import numpy as np
import pytest

from flask_app.data.dataset import Dataset
from flask_app.simulator.simulation import simulate
from flask_app.training.selection import Examples
from flask_app.training.train import examples_of


@pytest.fixture(scope="session")
def simulated() -> Dataset:
    return simulate(auctions=100, seed=0)


@pytest.fixture(scope="session")
def examples(simulated: Dataset) -> Examples:
    return examples_of(simulated)


@pytest.fixture
def noise() -> Examples:
    """60 auctions of 10 rows that look alike; what a whole auction is called is a coin's toss."""
    random = np.random.default_rng(0)
    auctions = np.repeat(np.arange(60), 10)
    looks = random.random((60, 9))
    return Examples(
        rows=(looks[auctions] + random.normal(0, 1e-3, (600, 9))).astype(np.float32),
        labels=(np.arange(60) % 2).astype(np.int8)[auctions],
        auctions=auctions.astype(str).astype(object),
    )
