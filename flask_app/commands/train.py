"""`train`: compare candidates, choose one and publish its bundle in the store SHILL_MODEL_STORE.

Learns from SHILL_DATASET or, without it, from UCI 562 or from simulated auctions; with --labels
from what was labelled, beside that or instead. Does nothing anew: a version of the same data, seed,
code and libraries is taken as it is.

--promote compares it with the model in production, on the auctions that it learnt from, and refuses
it if that may be better.

Examples:
    shill train --promote
    SHILL_ARCHIVE=s3://bucket shill train --labels beside --promote
    SHILL_DATASET=uci562.csv SHILL_MODEL_STORE=s3://bucket/models shill train --seed 7
    SHILL_CANDIDATES=gradient_boosting,our_models:extra_trees shill train

Exit status: 0 a version was published or was there, and promoted if asked to; 1 the data or the
settings are wrong, or the version is published and not promoted.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from msgspec.structs import astuple

from flask_app.commands.labels import SINCE, read_labels
from flask_app.commands.table import METRICS, table
from flask_app.data.dataset import Dataset, size_of
from flask_app.errors import BundleError, NotAsGood, SettingError
from flask_app.model.bundle import Bundle
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
        help="put the version into production, if it is as good as the one that is there",
    )
    parser.add_argument(
        "--instead-of",
        metavar="VERSION",
        help="with --promote: do so even if this version, which is in production, may be better",
    )
    parser.add_argument(
        "--labels",
        choices=("beside", "instead"),
        help="learn from what was labelled here and in the archive, beside the dataset or instead",
    )
    parser.add_argument("--since", **SINCE)


def run(arguments: argparse.Namespace) -> int:
    """Train, publish and, if asked to, promote; returns 0."""
    for option, other in (("instead_of", "promote"), ("since", "labels")):
        if getattr(arguments, option) and not getattr(arguments, other):
            raise SettingError(f"--{option.replace('_', '-')} says nothing without --{other}")
    settings = Settings.from_environment()
    store = open_store(settings)
    dataset = _load(settings, arguments.labels, arguments.since)
    candidates = chosen(filter(None, map(str.strip, settings.candidates.split(","))))
    version = find_trained(store, provenance(dataset, arguments.seed, candidates))
    if version:
        print(f"{version} is there already: same data, seed, code and libraries")
    else:
        version = _train(dataset, arguments.seed, candidates, store)
        print(f"{version} is published in {store}")
    if arguments.promote:
        load_version(store, version)
        _compare(store, version, arguments.instead_of)
        print(f"{store.promote(version).version} is in production")
    return 0


def _load(settings: Settings, labels: str | None, since: datetime | None) -> Dataset:
    if labels is None:
        return source.load(settings)
    labelled = read_labels(settings, since)
    beside = labels == "beside"
    dataset = labelled.beside(source.load(settings)) if beside else labelled.dataset()
    print(f"dataset {dataset.name}: {size_of(dataset.frame)}", file=sys.stderr)
    return dataset


def _compare(store: ModelStore, version: str, instead_of: str | None) -> None:
    """Compare with the model in production; raises `NotAsGood` unless that is `instead_of`."""
    pointer = store.production()
    if pointer is None or pointer.version == version:
        return
    from flask_app.training.comparison import MARGIN, compare  # noqa: PLC0415

    current = pointer.version
    try:
        comparison = compare(
            Bundle.open(store.fetch(version)),
            Bundle.open(store.fetch(current), manifest_sha256=pointer.manifest_sha256),
        )
    except BundleError as error:
        finding, acceptable = f"{current} cannot be compared with: {error}", False
    else:
        finding, acceptable = str(comparison), comparison.is_acceptable
    print(finding)
    if not acceptable and instead_of != current:
        raise NotAsGood(
            f"{version} is not promoted: it is not shown to be as good as {current}, within "
            f"{MARGIN:g} of F1. More labels narrow the interval; to promote it nevertheless, add "
            f"--instead-of {current}"
        )


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
