"""`train`: compare candidates, choose one and publish its bundle in the store SHILL_MODEL_STORE.

Learns from SHILL_DATASET or, without it, from UCI 562 or from simulated auctions. Does nothing
anew: a version of the same data, seed, code and libraries is taken as it is.

Examples:
    shill train --promote
    SHILL_DATASET=uci562.csv SHILL_MODEL_STORE=s3://bucket/models shill train --seed 7
    SHILL_CANDIDATES=gradient_boosting,our_models:extra_trees shill train

Exit status: 0 a version was published or was there, 1 the data or the settings are wrong.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import astuple

from flask_app.commands.table import METRICS, table
from flask_app.data.dataset import Dataset
from flask_app.model.predictor import load_version
from flask_app.model.stores import ModelStore, open_store
from flask_app.settings import Settings
from flask_app.training import source
from flask_app.training.candidates import Candidate, chosen
from flask_app.training.provenance import find_trained, provenance


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--seed", type=int, default=0, help="of folds and estimators (default: %(default)s)"
    )
    parser.add_argument(
        "--promote",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="put the version into production",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, publish and, if asked to, promote; returns 0."""
    settings = Settings.from_environment()
    store = open_store(settings)
    dataset = source.load(settings)
    candidates = chosen(filter(None, map(str.strip, settings.candidates.split(","))))
    version = find_trained(store, provenance(dataset, arguments.seed, candidates))
    if version:
        print(f"{version} is there already: same data, seed, code and libraries")
    else:
        version = _train(dataset, arguments.seed, candidates, store)
        print(f"{version} is published in {store}")
    if arguments.promote:
        load_version(store, version)
        print(f"{store.promote(version).version} is in production")
    return 0


def _train(
    dataset: Dataset, seed: int, candidates: Mapping[str, Candidate], store: ModelStore
) -> str:
    # Imported when needed: the usual second call ends before it.
    from flask_app.training.train import train  # noqa: PLC0415

    begin = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - begin:4.0f} s  {line}", file=sys.stderr)

    with tempfile.TemporaryDirectory() as parent:
        trained = train(dataset, seed, Path(parent), candidates=candidates, tell=tell)
        manifest = trained.manifest
        rows = [
            (candidate.name, candidate.calibration, *astuple(candidate.metrics))
            for candidate in manifest.candidates
        ]
        rows.append(("the procedure", "chosen", *astuple(manifest.metrics)))
        print(table(("candidate", "calibration", *METRICS), rows))
        print(
            f"{manifest.estimator}, calibration {manifest.calibration}, shill from "
            f"{manifest.threshold.value:.4f}; ONNX differs by {trained.difference:.0e} at most"
        )
        return store.publish(trained.directory)
