"""Chooses calibration, threshold and candidate, and measures the choosing itself.

Nested cross-validation, by auction throughout. The inner folds of a set of auctions give
out-of-fold probabilities, from which everything is chosen; the outer folds repeat the whole
choosing without their own auctions and are scored on those. So no metric comes from data that had
a part in a choice, and the model that is published is chosen from all data by the same rules.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    precision_recall_curve,
)
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils.parallel import Parallel, delayed

from flask_app.errors import TrainingError
from flask_app.model.bundle import CrossValidationMetrics
from flask_app.training.calibration import CALIBRATIONS, Calibration
from flask_app.training.candidates import Candidate, Classifier
from flask_app.training.evaluation import Labels, Predictions, Probabilities, measure_folds

FOLDS = 5

CALIBRATION_RULE = (
    "none, unless sigmoid or isotonic lowers the out-of-fold Brier score by more than two standard "
    "errors over the folds; then the lower of the two"
)
THRESHOLD_RULE = (
    "maximises F1 of the out-of-fold probabilities, midway between neighbours; of several such "
    "the nearest to 0.5"
)
CANDIDATE_RULE = "the highest out-of-fold average precision, which no calibration changes"

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Examples:
    """Labelled rows: float32 (n, 9), labels 0 or 1, and the auction of each."""

    rows: NDArray[np.float32]
    labels: Labels
    auctions: NDArray[np.object_]

    def check(self) -> None:
        """Raise `TrainingError` if nested folds could lack a class."""
        for label, kind in enumerate(("honest", "shill")):
            auctions = len(np.unique(self.auctions[self.labels == label]))
            if auctions < FOLDS**2:
                raise TrainingError(
                    f"{auctions} auctions have a record that is {kind}, {FOLDS**2} are needed for "
                    f"{FOLDS} folds in {FOLDS} folds: give more data"
                )

    def split(self, subset: Indices, seed: int) -> list[tuple[Indices, Indices]]:
        """Split `subset` into folds, each (to fit, to score); no auction is on both sides."""
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        labels, auctions = self.labels[subset], self.auctions[subset]
        return [
            (subset[fit], subset[score]) for fit, score in folds.split(labels, labels, auctions)
        ]


@dataclass(frozen=True)
class Choice:
    """What the rules choose for one candidate; `average_precision` is out-of-fold."""

    candidate: str
    calibration: Calibration
    threshold: float
    average_precision: float


@dataclass(frozen=True)
class Trial:
    """One candidate: chosen from all data, and measured on the outer folds."""

    choice: Choice
    fold_choices: tuple[Choice, ...]
    folds: tuple[Indices, ...]
    probabilities: Probabilities
    predictions: Predictions
    metrics: CrossValidationMetrics


@dataclass(frozen=True)
class Selection:
    """The outcome: what to publish, and what the same procedure scores on auctions unseen.

    Each outer fold has a candidate, a calibration and a threshold of its own; `predictions` are by
    these.
    """

    choice: Choice
    probabilities: Probabilities
    predictions: Predictions
    metrics: CrossValidationMetrics


def run_trials(
    examples: Examples, candidates: Mapping[str, Candidate], seed: int
) -> Iterator[Trial]:
    """Yield the trial of each of `candidates`, as it is done.

    Raises:
        TrainingError: There are too few auctions.
    """
    examples.check()
    everything = np.arange(len(examples.labels))
    outer = examples.split(everything, seed)
    inner = [examples.split(subset, seed) for subset in [*(fit for fit, _ in outer), everything]]
    splits = [*outer, *itertools.chain(*inner)]
    scored: dict[str, list[Probabilities]] = {}
    for name, candidate in candidates.items():
        for member in candidate:
            if member.name not in scored:
                # Threads: the ensembles release the GIL, and nothing has to be copied.
                scored[member.name] = Parallel(n_jobs=-1, prefer="threads")(
                    delayed(_fit_and_score)(member.make(seed), examples, *split) for split in splits
                )
        weights = [member.weight for member in candidate]
        means = (
            np.average(probabilities, axis=0, weights=weights)
            for probabilities in zip(*(scored[member.name] for member in candidate), strict=True)
        )
        raw = [(score, next(means)) for _, score in outer]
        choices = [
            _choose(name, examples.labels, [(score, next(means)) for _, score in folds])
            for folds in inner
        ]
        yield _trial(examples.labels, raw, choices)


def select(trials: Sequence[Trial], labels: Labels) -> Selection:
    """Choose among the candidates, inside each outer fold anew to measure that choice too."""
    folds = trials[0].folds
    probabilities = np.empty(len(labels))
    predictions = np.empty(len(labels), dtype=bool)
    for number, fold in enumerate(folds):
        best = max(trials, key=lambda trial: trial.fold_choices[number].average_precision)
        probabilities[fold] = best.probabilities[fold]
        predictions[fold] = best.predictions[fold]
    return Selection(
        choice=max((trial.choice for trial in trials), key=lambda choice: choice.average_precision),
        probabilities=probabilities,
        predictions=predictions,
        metrics=measure_folds(labels, probabilities, predictions, folds),
    )


def best_threshold(labels: Labels, probabilities: Probabilities) -> float:
    """Apply `THRESHOLD_RULE`."""
    precision, recall, levels = precision_recall_curve(labels, probabilities)
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    # Calling rows at level k and above shill is what any threshold down to level k-1 does.
    between = (np.concatenate([[0.0], levels[:-1]]) + levels) / 2
    best = between[np.isclose(f1[:-1], f1[:-1].max(), rtol=1e-12, atol=0)]
    return float(best[np.abs(best - 0.5).argmin()])


def _fit_and_score(
    classifier: Classifier, examples: Examples, fit: Indices, score: Indices
) -> Probabilities:
    classifier.fit(examples.rows[fit], examples.labels[fit])
    return classifier.predict_proba(examples.rows[score])[:, 1]


def _choose(name: str, labels: Labels, folds: Sequence[tuple[Indices, Probabilities]]) -> Choice:
    """Choose calibration and threshold of a candidate from the folds' (rows, probabilities)."""
    truth = [labels[rows] for rows, _ in folds]
    raw = [probabilities for _, probabilities in folds]
    best, best_probabilities, best_briers = CALIBRATIONS[0], raw, _briers(truth, raw)
    plain_briers = best_briers
    for calibration in CALIBRATIONS[1:]:
        probabilities = [
            calibration.fit(_without(raw, fold), _without(truth, fold))(raw[fold])
            for fold in range(FOLDS)
        ]
        briers = _briers(truth, probabilities)
        gain = plain_briers - briers
        clear = gain.mean() > 2 * gain.std(ddof=1) / FOLDS**0.5
        if clear and briers.mean() < best_briers.mean():
            best, best_probabilities, best_briers = calibration, probabilities, briers
    return Choice(
        candidate=name,
        calibration=best.fit(np.concatenate(raw), np.concatenate(truth)),
        threshold=best_threshold(np.concatenate(truth), np.concatenate(best_probabilities)),
        average_precision=float(np.mean(list(map(average_precision_score, truth, raw)))),
    )


def _briers(truth: Sequence[Labels], probabilities: Sequence[Probabilities]) -> Probabilities:
    """Brier score of each fold."""
    return np.array(list(map(brier_score_loss, truth, probabilities)))


def _without(parts: Sequence[NDArray[Any]], fold: int) -> NDArray[Any]:
    return np.concatenate([part for number, part in enumerate(parts) if number != fold])


def _trial(
    labels: Labels, raw: Sequence[tuple[Indices, Probabilities]], choices: Sequence[Choice]
) -> Trial:
    probabilities = np.empty(len(labels))
    predictions = np.empty(len(labels), dtype=bool)
    *fold_choices, choice = choices
    for (fold, uncalibrated), fold_choice in zip(raw, fold_choices, strict=True):
        probabilities[fold] = fold_choice.calibration(uncalibrated)
        predictions[fold] = probabilities[fold] >= fold_choice.threshold
    folds = tuple(fold for fold, _ in raw)
    return Trial(
        choice=choice,
        fold_choices=tuple(fold_choices),
        folds=folds,
        probabilities=probabilities,
        predictions=predictions,
        metrics=measure_folds(labels, probabilities, predictions, folds),
    )
