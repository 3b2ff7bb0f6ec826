"""Real auctions in two halves, one to calibrate on and one to draw windows from; and a bundle."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from flask_app.data.dataset import Dataset
from flask_app.model.bundle import REFERENCE, Bundle, Manifest
from flask_app.record import FEATURES
from flask_app.reference.distance import limits, normed_wasserstein, scale
from flask_app.reference.thresholds import find_thresholds

HERE = Path(__file__).parent
STORE = HERE / ".cache/models"

Indices = NDArray[np.intp]


class Population:
    """The records of a dataset: `rows`, float32 (n, 9), and the rows of each of its auctions."""

    def __init__(self, dataset: Dataset) -> None:
        self.rows = dataset.frame[list(FEATURES)].to_numpy(np.float32)
        _, self.auction = np.unique(dataset.frame["auction_id"].to_numpy(str), return_inverse=True)
        order = np.argsort(self.auction, kind="stable")
        self.auctions = np.split(order, np.cumsum(np.bincount(self.auction))[:-1])
        self.supports = [np.unique(column, return_inverse=True) for column in self.rows.T]


class Split:
    """A reference calibrated on half of the auctions alone, and the auctions it has never seen."""

    def __init__(self, population: Population, seed: int) -> None:
        self.population = population
        self.random = np.random.default_rng(seed)
        halves = np.array_split(self.random.permutation(len(population.auctions)), 2)
        self.unseen = halves[1]
        seen = np.concatenate([population.auctions[number] for number in halves[0]])
        reference = population.rows[seen]
        self.limits = limits(reference)
        self.reference = np.clip(reference, *self.limits)
        self.calibration = find_thresholds(reference, population.auction[seen], seed)
        units = scale(self.reference)
        self._measures = [
            (
                np.diff(np.clip(values, *bounds)) / unit,
                place,
                self._shares(place[seen], len(values)),
            )
            for (values, place), unit, bounds in zip(
                population.supports, units, np.transpose(self.limits), strict=True
            )
        ]

    def draw(self, rows: int, *, repeatedly: bool) -> Indices:
        """Draw auctions that the reference has never seen until there are so many rows.

        Args:
            rows: Of the window.
            repeatedly: Whether an auction may come again, so that the half stands for all auctions
                there are; otherwise the window is a part of the half.
        """
        drawn = (
            self.random.choice(self.unseen, rows)
            if repeatedly
            else self.random.permutation(self.unseen)
        )
        return np.concatenate([self.population.auctions[number] for number in drawn])[:rows]

    def distances(self, window: Indices) -> NDArray[np.float64]:
        """Return the normed Wasserstein distance of each feature, faster than one by one."""
        return np.array(
            [
                gaps @ np.abs(np.cumsum(self._shares(place[window], len(share)) - share)[:-1])
                for gaps, place, share in self._measures
            ]
        )

    def distance(self, feature: int, column: NDArray[np.floating]) -> float:
        """Return the distance of one feature of a window, whatever its values."""
        lowest, highest = self.limits[0][feature], self.limits[1][feature]
        return normed_wasserstein(self.reference[:, feature], np.clip(column, lowest, highest))

    def thresholds(self, rows: int) -> NDArray[np.float64]:
        """Return the threshold of each feature."""
        return np.array([self.calibration.threshold(name, rows) for name in FEATURES])

    @staticmethod
    def _shares(places: Indices, count: int) -> NDArray[np.float64]:
        return np.bincount(places, minlength=count) / len(places)


def trained_reference() -> tuple[Manifest, pd.DataFrame]:
    """Train on the same dataset, unless it is done; return manifest and reference.parquet."""
    environment = os.environ | {"SHILL_MODEL_STORE": str(STORE)}

    def shill(*arguments: str) -> str:
        command = [sys.executable, "-m", "flask_app", *arguments]
        return subprocess.run(
            command,
            cwd=HERE.parents[1],
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    shill("train", "--promote")
    bundle = Bundle.open(Path(shill("model", "path").strip()))
    return bundle.manifest, pd.read_parquet(io.BytesIO(bundle.read(REFERENCE)))
