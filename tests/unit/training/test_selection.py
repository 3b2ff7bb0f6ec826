from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier

from flask_app.errors import TrainingError
from flask_app.training.candidates import CANDIDATES
from flask_app.training.evaluation import measure, measure_folds
from flask_app.training.selection import (
    FOLDS,
    Examples,
    _choose,
    best_threshold,
    run_trials,
    select,
)

QUICK = {"logistic_regression": CANDIDATES["logistic_regression"]}


def test_no_auction_is_on_both_sides_of_a_split(examples: Examples) -> None:
    everything = np.arange(len(examples.labels))
    outer = examples.split(everything, seed=0)
    nested = [(fit, split) for fit, _ in outer for split in examples.split(fit, seed=0)]

    for fit, score in [*outer, *(split for _, split in nested)]:
        assert not set(examples.auctions[fit]) & set(examples.auctions[score])
        assert examples.labels[fit].any()
        assert examples.labels[score].any()
    for whole, (fit, score) in nested:
        assert sorted([*fit, *score]) == sorted(whole)
    assert sorted(np.concatenate([score for _, score in outer])) == list(everything)


def test_what_is_learnt_of_an_auction_is_of_no_use_for_its_own_rows(noise: Examples) -> None:
    everything = np.arange(len(noise.labels))
    by_auction = noise.split(everything, seed=0)
    by_row = KFold(FOLDS, shuffle=True, random_state=0).split(everything)

    def memorised(splits: object) -> float:
        recalled = np.empty(len(noise.labels))
        for fit, score in splits:
            memory = KNeighborsClassifier(1).fit(noise.rows[fit], noise.labels[fit])
            recalled[score] = memory.predict(noise.rows[score])
        return roc_auc_score(noise.labels, recalled)

    assert memorised(by_row) > 0.99
    assert 0.25 < memorised(by_auction) < 0.75


def test_no_candidate_finds_anything_in_noise(noise: Examples) -> None:
    trials = list(run_trials(noise, QUICK, seed=0))

    assert 0.2 < select(trials, noise.labels).metrics.roc_auc < 0.8


@pytest.mark.parametrize("label", [0, 1])
def test_too_few_auctions_are_refused_with_their_number(noise: Examples, label: int) -> None:
    keep = np.isin(noise.auctions, np.unique(noise.auctions[noise.labels == label])[:24])
    few = Examples(*(part[keep | (noise.labels != label)] for part in vars(noise).values()))

    with pytest.raises(TrainingError, match=r"^24 auctions have a record .*, 25 are needed"):
        next(run_trials(few, QUICK, seed=0))


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_maximises_f1_and_lies_between_probabilities(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = (random.random(200) < 0.2).astype(np.int8)
    probabilities = np.clip(0.4 * labels + random.random(200) * 0.7, 0, 1).round(2)

    threshold = best_threshold(labels, probabilities)

    levels = np.unique(probabilities)
    thresholds = [levels[0] / 2, *(sum(pair) / 2 for pair in pairwise(levels))]
    f1 = {value: f1_score(labels, probabilities >= value) for value in thresholds}
    tied = [value for value in thresholds if f1[value] == pytest.approx(max(f1.values()))]
    assert threshold == pytest.approx(min(tied, key=lambda value: abs(value - 0.5)))


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_taken() -> None:
    labels = np.array([0, 0, 0, 1, 1], dtype=np.int8)

    assert best_threshold(labels, np.array([0.1, 0.1, 0.2, 0.6, 0.9])) == pytest.approx(0.4)


@pytest.mark.parametrize(("power", "expected"), [(1.0, "none"), (3.0, "sigmoid")])
def test_probabilities_are_calibrated_only_if_that_clearly_helps(
    power: float, expected: str
) -> None:
    random = np.random.default_rng(0)
    true = random.random(3000)
    labels = (random.random(3000) < true).astype(np.int8)
    given = true**power / (true**power + (1 - true) ** power)
    rows = np.arange(3000).reshape(FOLDS, -1)

    choice = _choose("any", labels, [(fold, given[fold]) for fold in rows])

    assert choice.calibration.name == expected


def test_each_fold_is_called_by_its_own_threshold_and_the_best_candidate_is_chosen(
    examples: Examples,
) -> None:
    trials = list(run_trials(examples, QUICK, seed=0))
    selection = select(trials, examples.labels)

    for fold, choice in zip(trials[0].folds, trials[0].fold_choices, strict=True):
        called = trials[0].probabilities[fold] >= choice.threshold
        assert called.tolist() == trials[0].predictions[fold].tolist()
    assert selection.choice == trials[0].choice
    assert selection.metrics == trials[0].metrics
    assert selection.metrics.roc_auc > 0.9


def test_metrics_of_folds_are_means() -> None:
    labels = np.array([0, 1, 0, 1], dtype=np.int8)
    probabilities = np.array([0.1, 0.8, 0.7, 0.6])
    folds = (np.array([0, 1]), np.array([2, 3]))

    right, wrong = (
        measure(labels[fold], probabilities[fold], probabilities[fold] >= 0.65) for fold in folds
    )
    mean = measure_folds(labels, probabilities, probabilities >= 0.65, folds)

    assert (right.roc_auc, right.f1, right.precision, right.recall) == (1, 1, 1, 1)
    assert (wrong.roc_auc, wrong.f1, wrong.precision, wrong.recall) == (0, 0, 0, 0)
    assert right.brier == pytest.approx((0.1**2 + 0.2**2) / 2)
    assert (mean.roc_auc, mean.f1) == (0.5, 0.5)
    assert mean.brier == pytest.approx((right.brier + wrong.brier) / 2)
