"""`bands`: show from which probability on records are reviewed and blocked, or change that.

Each line has a threshold and what it does to the training data, out of fold: which share of honest
records is at or above it, and which share of shills. With --review or --block a copy of the bundle
with other thresholds goes into the store, as a version of its own; `model promote` puts it into
production.

Examples:
    shill bands
    shill bands --review 0.01 --block 0.001

Exit status: 0 printed or published, 1 a share is out of its range or the bundle cannot be read.
"""

import argparse
import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from flask_app.commands.model import BUNDLE, find
from flask_app.commands.table import table
from flask_app.model import bundle
from flask_app.model.bands import BLOCK_HONEST, REVIEW_HONEST, as_rows, find_bands
from flask_app.model.bundle import Bundle
from flask_app.model.stores import open_store
from flask_app.settings import Settings
from flask_app.store.bundle import write
from flask_app.training.card import CARD, with_bands

HEADER = ("band", "threshold", "honest flagged", "shills caught")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--model", **BUNDLE)
    for name, share in (("review", REVIEW_HONEST), ("block", BLOCK_HONEST)):
        parser.add_argument(
            f"--{name}",
            type=float,
            metavar="SHARE",
            help=f"largest share of honest records to {name}; {share:g} where the other is given",
        )


def run(arguments: argparse.Namespace) -> int:
    """Print the bands, after writing a version with others if asked to; returns 0."""
    store = open_store(Settings.from_environment())
    current = Bundle.open(find(store, arguments.model))
    bands = current.manifest.bands
    if arguments.review is not None or arguments.block is not None:
        reference = pd.read_parquet(io.BytesIO(current.read(bundle.REFERENCE)))
        bands = find_bands(
            reference["is_shill"].to_numpy(np.int8),
            reference["probability"].to_numpy(float),
            REVIEW_HONEST if arguments.review is None else arguments.review,
            BLOCK_HONEST if arguments.block is None else arguments.block,
        )
        files = {name: current.read(name) for name in current.manifest.files}
        if CARD in files:
            files[CARD] = with_bands(files[CARD].decode(), bands).encode()
        draft = msgspec.structs.replace(
            current.manifest,
            bands=bands,
            created_at=datetime.now(UTC).replace(microsecond=0),
        )
        with tempfile.TemporaryDirectory() as directory:
            print(store.publish(write(Path(directory), Bundle, draft, files)))
    print(table(HEADER, as_rows(bands)))
    return 0
