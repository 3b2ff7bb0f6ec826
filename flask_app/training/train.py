"""From a dataset to a bundle."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flask_app.data.dataset import Dataset
from flask_app.errors import TrainingError
from flask_app.model import bundle
from flask_app.model.bands import find_bands
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import GOLDEN_TOLERANCE, Predictor
from flask_app.record import FEATURES, SCHEMA_ID
from flask_app.reference.thresholds import find_thresholds
from flask_app.store.bundle import write
from flask_app.training.candidates import CANDIDATES, Candidate, Classifier
from flask_app.training.card import model_card
from flask_app.training.classifiers import build
from flask_app.training.export import to_onnx
from flask_app.training.golden import golden_rows
from flask_app.training.provenance import provenance
from flask_app.training.selection import (
    THRESHOLD_RULE,
    Choice,
    Examples,
    Selection,
    Trial,
    run_trials,
    select,
)


@dataclass(frozen=True)
class Trained:
    """A bundle, and the largest difference of its ONNX model from scikit-learn on any row."""

    directory: Path
    manifest: bundle.Manifest
    difference: float


def examples_of(dataset: Dataset) -> Examples:
    """Take the columns that training uses, in the precision that the model is served with.

    Records that were drawn are there as often as their weight says, so also in the reference.
    """
    frame = dataset.repeated()
    return Examples(
        rows=frame[list(FEATURES)].to_numpy(np.float32),
        labels=frame["is_shill"].to_numpy(np.int8),
        auctions=frame["auction_id"].to_numpy(object),
    )


def train(
    dataset: Dataset,
    seed: int,
    parent: Path,
    *,
    candidates: Mapping[str, Candidate] = CANDIDATES,
    tell: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Compare `candidates`, fit the best to all of `dataset` and write its bundle into `parent`.

    Args:
        dataset: What to learn from.
        seed: Of folds and estimators; equal arguments give an equal version.
        parent: Existing directory.
        candidates: What to compare, see `CANDIDATES`.
        tell: Is given a line as each candidate is done.

    Raises:
        TrainingError: There is too little data, or the ONNX model differs from the estimator.
    """
    examples = examples_of(dataset)
    trials = []
    for trial in run_trials(examples, candidates, seed):
        tell(f"{trial.choice.candidate}: Brier score {trial.metrics.brier:.5f}")
        trials.append(trial)
    selection = select(trials, examples.labels)
    choice = selection.choice
    classifier = build(candidates[choice.candidate], seed).fit(examples.rows, examples.labels)

    def score(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return choice.calibration(classifier.predict_proba(rows)[:, 1])

    training = provenance(dataset, seed, candidates)
    manifest = _manifest(dataset, training, examples, trials, selection, score)
    directory = write(
        parent,
        Bundle,
        manifest,
        {
            bundle.MODEL: _converted(choice, classifier),
            bundle.REFERENCE: _reference(examples, selection),
            bundle.DRIFT_CALIBRATION: find_thresholds(
                examples.rows, examples.auctions, seed
            ).to_json(),
            **model_card(manifest, selection, examples.labels),
        },
    )
    predictor = Predictor.load(directory)
    difference = np.abs(predictor.predict(examples.rows) - score(examples.rows)).max()
    if not difference <= GOLDEN_TOLERANCE:
        raise TrainingError(
            f"{choice.candidate} as ONNX differs by {difference:.1e} from scikit-learn, more than "
            f"{GOLDEN_TOLERANCE:g}: report it with the data's sha256 {dataset.sha256}"
        )
    return Trained(directory, predictor.manifest, float(difference))


def _manifest(
    dataset: Dataset,
    training: bundle.Training,
    examples: Examples,
    trials: Sequence[Trial],
    selection: Selection,
    score: Callable[[NDArray[np.float32]], NDArray[np.float64]],
) -> bundle.Manifest:
    typical = np.median(examples.rows[examples.labels == 0], axis=0)
    ranges = zip(FEATURES, examples.rows.min(axis=0), examples.rows.max(axis=0), strict=True)
    return bundle.Manifest(
        schema_version=bundle.SCHEMA_VERSION,
        version="",
        created_at=datetime.now(UTC).replace(microsecond=0),
        dataset=bundle.TrainingData(
            name=dataset.name,
            sha256=dataset.sha256,
            rows=len(examples.labels),
            auctions=len(np.unique(examples.auctions)),
            shill_share=float(examples.labels.mean()),
        ),
        record_schema=SCHEMA_ID,
        features=tuple(
            bundle.Feature(name=name, minimum=float(least), maximum=float(greatest))
            for name, least, greatest in ranges
        ),
        estimator=selection.choice.candidate,
        calibration=selection.choice.calibration.name,
        threshold=bundle.Threshold(value=selection.choice.threshold, rule=THRESHOLD_RULE),
        bands=find_bands(examples.labels, selection.probabilities),
        typical=dict(zip(FEATURES, map(float, typical), strict=True)),
        metrics=selection.metrics,
        candidates=tuple(
            bundle.Candidate(
                name=trial.choice.candidate,
                calibration=trial.choice.calibration.name,
                metrics=trial.metrics,
            )
            for trial in trials
        ),
        golden_rows=golden_rows(examples.rows, score, selection.choice.threshold),
        training=training,
        files={},
    )


def _converted(choice: Choice, classifier: Classifier) -> bytes:
    try:
        return to_onnx(classifier, choice.calibration)
    except (RuntimeError, NameError) as error:  # whatever skl2onnx raises
        raise TrainingError(
            f"{choice.candidate} cannot be converted to ONNX ({error}): use a classifier that "
            "skl2onnx converts, or leave it out of SHILL_CANDIDATES"
        ) from error


def _reference(examples: Examples, selection: Selection) -> bytes:
    """The training data with out-of-fold probabilities and predictions, as Parquet."""
    frame = pd.DataFrame(examples.rows, columns=list(FEATURES))
    frame.insert(0, "auction_id", examples.auctions)
    frame["is_shill"] = examples.labels
    frame["probability"] = selection.probabilities
    frame["prediction"] = selection.predictions.astype(np.int8)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
