"""Candidates by name, and models of the user's own."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from flask_app.data.dataset import Dataset
from flask_app.errors import TrainingError
from flask_app.record import FEATURES
from flask_app.training.candidates import CANDIDATES, chosen
from flask_app.training.train import train

HERE = __name__


class Ratio(ClassifierMixin, BaseEstimator):
    """Takes the bidding ratio for the probability; skl2onnx does not know it."""

    def fit(self, _rows: NDArray[np.float32], _labels: NDArray[np.int8]) -> "Ratio":
        return self

    def predict_proba(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        ratio = rows[:, FEATURES.index("bidding_ratio")].astype(np.float64)
        return np.column_stack([1 - ratio, ratio])


def of_our_own(_seed: int) -> Ratio:
    """The function that a user writes."""
    return Ratio()


def gradient_boosting(_seed: int) -> None:
    """Named like one that is there."""


def test_no_names_are_all_candidates() -> None:
    assert chosen([]) == CANDIDATES


def test_candidates_are_chosen_by_name_in_the_order_given() -> None:
    assert list(chosen(["random_forest", f"{HERE}:of_our_own", "logistic_regression"])) == [
        "random_forest",
        "of_our_own",
        "logistic_regression",
    ]


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["svm"], "there is no candidate 'svm': give logistic_regression, .* or MODULE:FUNCTION"),
        (["nowhere:model"], "nowhere:model cannot be imported .*: install its package"),
        ([f"{HERE}:absent"], "cannot be imported"),
        ([f"{HERE}:HERE"], "is no function: give one that takes a seed"),
        (["random_forest", "random_forest"], "two candidates are named random_forest"),
        ([f"{HERE}:gradient_boosting"], "two candidates are named gradient_boosting: rename"),
    ],
)
def test_a_candidate_that_is_none_is_refused(names: list[str], complaint: str) -> None:
    with pytest.raises(TrainingError, match=complaint):
        chosen(names)


def test_a_model_that_cannot_be_converted_is_refused(simulated: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="of_our_own cannot be converted to ONNX"):
        train(simulated, 0, tmp_path, candidates=chosen([f"{HERE}:of_our_own"]))
    assert list(tmp_path.iterdir()) == []
