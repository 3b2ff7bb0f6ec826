"""Measure a model on raw bids and on features that are given: `python -m bench.raw_bids`.

The model learns from SHILL_DATASET or UCI 562, the auctions are simulated. Their bids go through
`score`, end to end; their features, as the simulator gives them, straight into the model.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from flask_app import files
from flask_app.commands.table import table
from flask_app.model.predictor import Predictor
from flask_app.scoring import job
from flask_app.settings import Settings
from flask_app.simulator.simulation import as_csv, hold_auctions
from flask_app.training.evaluation import measure
from flask_app.training.source import load
from flask_app.training.train import examples_of, train

KEYS = ["auction_id", "bidder_id"]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench.raw_bids", description=__doc__)
    parser.add_argument("--auctions", type=int, default=2000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=9, help="default: %(default)s")
    options = parser.parse_args()
    simulation = hold_auctions(options.auctions, options.seed)
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        dataset = load(Settings.from_environment())
        predictor = Predictor.load(train(dataset, 0, place).directory)
        files.write_directory(place / "site", as_csv(simulation.auctions, simulation.bids))
        site, scored_to = place / "site", str(place / "scored")
        auctions, bids = str(site / "auctions.csv"), str(site / "bids.csv")
        job.run(predictor, auctions, bids, scored_to, explain=False)
        scored = pd.concat(map(pd.read_parquet, place.glob("scored/dt=*/*.parquet")))
    examples = examples_of(simulation.dataset)
    given = predictor.predict(examples.rows)
    records = simulation.dataset.frame[[*KEYS, "is_shill"]].merge(scored, on=KEYS)
    rows = [
        (
            name,
            f"{len(labels):,}",
            f"{found.f1:.4f}",
            f"{found.precision:.4f}",
            f"{found.recall:.4f}",
        )
        for name, labels, probabilities in (
            ("features given", examples.labels, given),
            ("raw bids", records["is_shill"].to_numpy(np.int8), records["probability"].to_numpy()),
        )
        for found in [measure(labels, probabilities, probabilities >= predictor.threshold)]
    ]
    print(f"trained on {dataset.name}")
    print(table(("from", "records", "F1", "precision", "recall"), rows))


if __name__ == "__main__":
    main()
