"""Labels are learnt from beside other data, or instead of them."""

import numpy as np
import pandas as pd
import pytest

from flask_app.data.dataset import COLUMNS, REVIEWER, WEIGHT, Dataset
from flask_app.training.labelled import Labelled
from flask_app.training.train import examples_of


@pytest.fixture
def labelled(simulated: Dataset) -> Labelled:
    """Labels of the first auction, of which one record stands for ten, and of one more."""
    first = simulated.frame["auction_id"].iloc[0]
    known = simulated.frame[simulated.frame["auction_id"] == first]
    other = simulated.frame[~simulated.frame["auction_id"].isin([first])].head(3)
    frame = pd.concat([known, other.assign(auction_id="own")], ignore_index=True)
    weights = np.ones(len(frame))
    weights[0] = 10
    return Labelled(frame.assign(**{WEIGHT: weights, REVIEWER: "eve"}), incomplete=0)


def test_instead_of_other_data_they_are_a_dataset_of_their_own(labelled: Labelled) -> None:
    dataset = labelled.dataset()

    assert dataset.name == "labelled"
    assert tuple(dataset.frame.columns) == (*COLUMNS, WEIGHT)
    assert len(examples_of(dataset).labels) == len(labelled.frame) + 9


def test_beside_other_data_what_was_labelled_counts_of_an_auction_that_both_have(
    labelled: Labelled, simulated: Dataset
) -> None:
    dataset = labelled.beside(simulated)

    assert dataset.name == "simulated_labelled"
    assert len(dataset.frame) == len(simulated.frame) + 3
    assert not dataset.frame.duplicated(["auction_id", "bidder_id"]).any()
    assert dataset.frame[WEIGHT].sum() == len(simulated.frame) + 3 + 9


def test_other_weights_are_another_dataset(labelled: Labelled) -> None:
    heavier = Labelled(labelled.frame.assign(**{WEIGHT: 2.0}), incomplete=0)
    assert heavier.dataset().sha256 != labelled.dataset().sha256
