"""One function a question; each returns JSON types."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.drift.material import Split
from flask_app.drift.performance import estimated, labelled
from flask_app.record import FEATURES

LARGEST_ERROR = 0.03

SIZES = (200, 500, 1_000, 2_000, 5_000, 10_000)

Column = NDArray[np.float32]


@dataclass(frozen=True)
class Shift:
    """What happens to one feature, by how much."""

    feature: str
    change: str
    apply: Callable[[Column, float, np.random.Generator], Column]
    factors: tuple[float, ...]


def _times(column: Column, factor: float, _: np.random.Generator) -> Column:
    return column * factor


def _times_within_one(column: Column, factor: float, _: np.random.Generator) -> Column:
    shifted: Column = np.minimum(column * factor, 1)
    return shifted


def _more_often(column: Column, factor: float, random: np.random.Generator) -> Column:
    """Give rows that have 0 values of rows that have not."""
    shifted = column.copy()
    present, absent = column[column > 0], np.flatnonzero(column == 0)
    more = min(round((factor - 1) * len(present)), len(absent))
    shifted[random.choice(absent, more, replace=False)] = random.choice(present, more)
    return shifted


SHIFTS = (
    Shift("bidding_ratio", "values, at most 1", _times_within_one, (1.1, 1.2, 1.3, 1.5, 2.0)),
    Shift("successive_outbidding", "share of rows above 0", _more_often, (1.25, 1.5, 2.0, 3.0)),
    Shift("successive_outbidding", "values, at most 1", _times_within_one, (2.0,)),
    Shift("auction_duration", "values", _times, (1.1, 1.2, 1.3, 1.5)),
)


def false_alarms(splits: Sequence[Split], windows: int) -> list[dict[str, Any]]:
    """Measure how often any feature alarms though nothing has drifted: a rate for each split."""
    largest = min(sum(len(split.population.auctions[a]) for a in split.unseen) for split in splits)
    measured = []
    for rows in SIZES:
        for repeatedly in (True, False):
            if repeatedly or rows <= largest:
                rates = [
                    np.mean(
                        [
                            np.any(split.distances(split.draw(rows, repeatedly=repeatedly)) > limit)
                            for _ in range(windows)
                        ]
                    )
                    for split in splits
                    for limit in [split.thresholds(rows)]
                ]
                measured.append(
                    {"rows": rows, "repeatedly": repeatedly, "rates": np.round(rates, 4).tolist()}
                )
    return measured


def power(splits: Sequence[Split], windows: int) -> list[dict[str, Any]]:
    """Measure in what share of shifted windows the shifted feature alarms."""
    measured = []
    for shift in SHIFTS:
        feature = FEATURES.index(shift.feature)
        for rows in SIZES:
            detected = np.zeros(len(shift.factors))
            for split in splits:
                threshold = split.calibration.threshold(shift.feature, rows)
                for _ in range(windows):
                    window = split.draw(rows, repeatedly=True)
                    column = split.population.rows[window, feature]
                    detected += [
                        split.distance(feature, shift.apply(column, factor, split.random))
                        > threshold
                        for factor in shift.factors
                    ]
            measured += [
                {
                    "feature": shift.feature,
                    "change": shift.change,
                    "factor": factor,
                    "rows": rows,
                    "detected": round(share, 4),
                }
                for factor, share in zip(
                    shift.factors, detected / (len(splits) * windows), strict=True
                )
            ]
    return measured


def outliers(splits: Sequence[Split], windows: int) -> list[dict[str, Any]]:
    """Add one absurd value to a feature of a window, and count the alarms that change.

    Values are a million in any feature, and 1, the greatest that the API takes, in those of at most
    1. Without drift the value may cause an alarm; it may hide one for values 1.5 times as large.
    """
    shares = [number for number, name in enumerate(FEATURES) if name != "auction_duration"]
    measured = []
    for (value, features), rows in product(
        ((1e6, range(len(FEATURES))), (1.0, shares)), (200, 500, 2_000)
    ):
        counts = Counter(dict.fromkeys(("windows", "caused", "alarms", "hidden"), 0))
        moved = 0.0
        for split in splits:
            thresholds = split.thresholds(rows)
            for _ in range(windows):
                window = split.population.rows[split.draw(rows, repeatedly=True)]
                for feature, drift in product(features, (1.0, 1.5)):
                    column = window[:, feature] * drift
                    before, after = (
                        split.distance(feature, values) / thresholds[feature]
                        for values in (column, np.append(column, value))
                    )
                    if drift == 1:
                        counts["windows"] += 1
                        counts["caused"] += int(before <= 1 < after)
                    elif before > 1:
                        counts["alarms"] += 1
                        counts["hidden"] += int(after <= 1)
                    moved = max(moved, abs(after - before))
        measured.append({"value": value, "rows": rows, **counts, "moved": round(moved, 4)})
    return measured


COVARIATE_SHIFTS: Mapping[str, Callable[[pd.DataFrame], "pd.Series[float]"]] = {
    "as they come": lambda rows: pd.Series(1.0, rows.index),
    "twice as many that look like shills": lambda rows: 1.0 + (rows["probability"] >= 0.5),
    "half as many that look like shills": lambda rows: 1.0 - 0.5 * (rows["probability"] >= 0.5),
    "twice as many of repeated outbidding": lambda rows: 1.0 + (rows["successive_outbidding"] > 0),
    "long auctions": lambda rows: rows["auction_duration"] ** 2,
    "short auctions": lambda rows: rows["auction_duration"] ** -1.0,
    "auctions of many bids": lambda rows: 0.1 + rows["auction_bids"],
    "bidders loyal to a seller": lambda rows: 0.02 + rows["bidder_tendency"],
    "last-minute bidders": lambda rows: rows["last_bidding"] ** 2,
    "three times as many doubtful cases": lambda rows: (
        1.0 + 2 * rows["probability"].between(0.1, 0.9)
    ),
}
"""What makes a row more or less frequent: its features, never its label."""


NEW_KIND = 0.02


def estimates(
    reference: pd.DataFrame, threshold: float, *, rows: int, windows: int, seed: int
) -> list[dict[str, Any]]:
    """Compare estimated with real F1 on auctions that the probabilities are out of fold for.

    The last entry is what cannot be estimated: 2 % of the rows are shills that look honest.
    """
    random = np.random.default_rng(seed)
    auctions = [group.index.to_numpy() for _, group in reference.groupby("auction_id")]
    probabilities = reference["probability"].to_numpy()
    labels = reference["is_shill"].to_numpy()
    hidden = np.where(random.random(len(labels)) < NEW_KIND, 1, labels)
    cases = [(name, weigh(reference), labels) for name, weigh in COVARIATE_SHIFTS.items()]
    cases.append(("a new kind of shill that looks honest (concept drift)", cases[0][1], hidden))
    measured = []
    for name, weight, truth in cases:
        weights = weight.to_numpy()
        expected, real = np.empty((2, windows))
        for number in range(windows):
            drawn = np.concatenate(
                [auctions[k] for k in random.integers(len(auctions), size=len(auctions))]
            )
            window = random.choice(drawn, rows, p=weights[drawn] / weights[drawn].sum())
            expected[number] = estimated(probabilities[window], threshold).f1
            real[number] = labelled(truth[window], probabilities[window] >= threshold).f1
        errors = np.abs(expected - real)
        measured.append(
            {
                "shift": name,
                "concept": truth is hidden,
                "estimated": round(float(expected.mean()), 4),
                "real": round(float(real.mean()), 4),
                "within": round(float(np.mean(errors <= LARGEST_ERROR)), 4),
                "largest_error": round(float(errors.max()), 4),
            }
        )
    return measured
