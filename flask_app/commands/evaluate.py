"""`evaluate`: score a bundle on labelled records.

Examples:
    shill evaluate
    shill evaluate --model uci562-0123456789ab --data labelled.csv

Exit status: 0 the metrics are printed, 1 bundle or data cannot be read.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from msgspec.structs import astuple

from flask_app.commands.model import BUNDLE, find, load
from flask_app.commands.table import METRICS, table
from flask_app.model.bundle import REFERENCE
from flask_app.model.stores import open_store
from flask_app.settings import Settings
from flask_app.simulator.realism import distance_table
from flask_app.training import source
from flask_app.training.evaluation import measure
from flask_app.training.train import examples_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--model", **BUNDLE)
    parser.add_argument(
        "--data",
        type=Path,
        help="CSV with UCI 562's header; default: what `train` would learn from",
    )
    parser.add_argument(
        "--distances",
        action="store_true",
        help="also print how far the model's training data is from this data, by feature",
    )


def run(arguments: argparse.Namespace) -> int:
    """Load the bundle, score the data, print the metrics; returns 0."""
    settings = Settings.from_environment()
    path = arguments.data
    dataset = source.read(path, settings) if path else source.load(settings)
    store = open_store(settings)
    predictor = load(store, arguments.model)

    examples = examples_of(dataset)
    probabilities = predictor.predict(examples.rows)
    metrics = measure(examples.labels, probabilities, probabilities >= predictor.threshold)

    row = (predictor.version, dataset.name, *astuple(metrics))
    print(table(("model", "data", *METRICS), [row]))
    if dataset.sha256 == predictor.manifest.dataset.sha256:
        print("note: the model was trained on this very data", file=sys.stderr)
    if arguments.distances:
        reference = pd.read_parquet(find(store, arguments.model) / REFERENCE)
        distances = distance_table(reference, dataset.repeated())
        print("\nWasserstein distances, in standard deviations of this data:")
        print(distances.round(3).to_string())
    return 0
