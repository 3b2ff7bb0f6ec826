"""The model card: what is in a bundle, for people."""

import io
import re

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve

from flask_app.model.bands import as_rows
from flask_app.model.bundle import Bands, Candidate, Manifest
from flask_app.training.selection import (
    CALIBRATION_RULE,
    CANDIDATE_RULE,
    FOLDS,
    THRESHOLD_RULE,
    Selection,
)

CARD = "MODEL_CARD.md"
_BINS = 10

_ABOUT_LABELS = {
    "uci562": "The labels come from clustering and rules on these same features, so the figures\n"
    "  say how well those labels are learnt, not how much real fraud is caught.",
    "simulated": "The auctions are simulated, so the figures say how well simulated shills are\n"
    "  found. Train on real labels before anything depends on it.",
}
_ABOUT_OTHER_LABELS = "The figures say how well the labels are learnt, whoever gave them."


def model_card(
    manifest: Manifest, selection: Selection, labels: NDArray[np.int8]
) -> dict[str, bytes]:
    """Return the card's files by name; equal arguments give equal bytes.

    Args:
        manifest: The bundle's, but for its version and files.
        selection: Gives the out-of-fold probabilities that the plots show.
        labels: Their labels, 1 for shill.
    """
    return {
        CARD: _text(manifest).encode(),
        "precision-recall.png": _png(_precision_recall(manifest, selection, labels)),
        "calibration.png": _png(_calibration(selection, labels)),
    }


def _text(manifest: Manifest) -> str:
    data = manifest.dataset
    whole = Candidate(name="**the procedure**", calibration="chosen", metrics=manifest.metrics)
    features = "\n".join(
        f"| {feature.name} | {feature.minimum:g} | {feature.maximum:g} |"
        for feature in manifest.features
    )
    libraries = ", ".join(
        f"{name} {version}" for name, version in manifest.training.libraries.items()
    )
    return f"""# Shill-bidding model

Scores one bidder in one auction with the probability that the bids are shill bids. The version is
the name of this directory; [manifest.json](manifest.json) has everything below for machines.

| | |
|-|-|
| Estimator | {manifest.estimator}, calibration {manifest.calibration} |
| Threshold | {manifest.threshold.value:.4f}: called shill at or above it |
| Data | {data.name}, sha256 {data.sha256} |
| Size | {data.rows:,} records of {data.auctions:,} auctions, {data.shill_share:.1%} shill |
| Seed | {manifest.training.seed} |
| Libraries | {libraries} |

## How good it is

Nested cross-validation, {FOLDS} folds in {FOLDS} folds, no auction on both sides of any split.
Calibration, threshold and candidate are chosen anew inside each outer fold; every figure is from
auctions that had no part in a choice, a mean over the outer folds.

| Candidate | Calibration | ROC AUC | Average precision | F1 | Precision | Recall | Brier |
|-|-|-:|-:|-:|-:|-:|-:|
{"".join(_row(candidate) for candidate in (*manifest.candidates, whole))}
- Candidate: {CANDIDATE_RULE}.
- Calibration: {CALIBRATION_RULE}.
- Threshold: {THRESHOLD_RULE}.

![Precision and recall](precision-recall.png)
![Calibration](calibration.png)

## Bands

{bands_table(manifest.bands)}## What it was trained on

| Feature | Least | Greatest |
|-|-:|-:|
{features}

## Where to be careful

- It has seen one marketplace. Elsewhere, watch the drift scores and label a sample.
- {_ABOUT_LABELS.get(data.name, _ABOUT_OTHER_LABELS)}
- Folds are by auction. A bidder occurs in several auctions, so a bidder never seen is harder.
- A score is a reason to look, not a verdict on a person.
"""


def bands_table(bands: Bands) -> str:
    """Return the card's section on bands."""
    rows = "".join(
        f"| {name} | {threshold:.4f} | {honest:.3%} | {shills:.1%} |\n"
        for name, threshold, honest, shills in as_rows(bands)
    )
    return (
        "What a record is worth looking at, by its probability: at or above the threshold of\n"
        "`review` or `block`. The shares are those of honest and of shill records there, out of\n"
        f"fold.\n\n| Band | Threshold | Honest flagged | Shills caught |\n|-|-:|-:|-:|\n{rows}\n"
        f"- Bands: {bands.rule}.\n\n"
    )


def with_bands(card: str, bands: Bands) -> str:
    """Return a card with another section on bands."""
    return re.sub(
        r"(?<=^## Bands\n\n).*?(?=^## )",
        lambda _: bands_table(bands),
        card,
        flags=re.DOTALL | re.MULTILINE,
    )


def _row(candidate: Candidate) -> str:
    m = candidate.metrics
    return (
        f"| {candidate.name} | {candidate.calibration} | {m.roc_auc:.5f} | "
        f"{m.average_precision:.5f} | {m.f1:.4f} | {m.precision:.4f} | {m.recall:.4f} | "
        f"{m.brier:.5f} |\n"
    )


def _precision_recall(manifest: Manifest, selection: Selection, labels: NDArray[np.int8]) -> Figure:
    precision, recall, _ = precision_recall_curve(labels, selection.probabilities)
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.step(recall, precision, where="post", label="out of fold")
    axes.plot(
        manifest.metrics.recall, manifest.metrics.precision, "o", label="at the folds' thresholds"
    )
    axes.axhline(labels.mean(), linestyle=":", color="grey", label="chance")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(loc="lower left")
    return figure


def _calibration(selection: Selection, labels: NDArray[np.int8]) -> Figure:
    bins = np.minimum((selection.probabilities * _BINS).astype(int), _BINS - 1)
    filled = [bins == number for number in np.unique(bins)]
    predicted = [selection.probabilities[rows].mean() for rows in filled]
    observed = np.array([labels[rows].mean() for rows in filled])
    intervals = [
        binomtest(int(labels[rows].sum()), int(rows.sum())).proportion_ci(method="wilson")
        for rows in filled
    ]
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="perfect")
    axes.errorbar(
        predicted,
        observed,
        yerr=np.abs(np.array(intervals).T - observed),
        fmt="o",
        capsize=3,
        label="out of fold, 95 % interval",
    )
    axes.set(ylabel="share of shill", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(loc="upper left")
    below.hist(selection.probabilities, bins=_BINS, range=(0, 1), log=True, color="grey")
    below.set(xlabel="probability", ylabel="rows")
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # Without the library's name and version the bytes depend on the picture alone.
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
