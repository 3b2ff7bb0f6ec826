"""`dataset`: make a training set of the predictions that were labelled.

Joins the predictions here (SHILL_LOG_DIR) and in the archive (SHILL_ARCHIVE) with the labels that
/feedback and the review desk took. Of several labels for a bidder in an auction the last holds. The
column Weight says for how many records one was drawn, Reviewer who judged it. `train` learns from
the file when SHILL_DATASET names it; `train --labels` needs no file.

Examples:
    shill dataset --output labelled.csv
    SHILL_ARCHIVE=s3://bucket shill dataset --output labelled.csv --since 2026-11-01T00:00:00Z
    SHILL_DATASET=labelled.csv shill train

Exit status: 0 the file is written, 1 there are no labels of both kinds, the archive cannot be read
or the file cannot be written.
"""

import argparse
from pathlib import Path

from flask_app import files
from flask_app.commands.labels import SINCE, read_labels
from flask_app.data.dataset import size_of, to_csv
from flask_app.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--output", type=Path, required=True, help="CSV to write, in UCI 562's published form"
    )
    parser.add_argument("--since", **SINCE)


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and say what is in it; returns 0."""
    labelled = read_labels(Settings.from_environment(), arguments.since)
    files.write(arguments.output, to_csv(labelled.frame))
    print(f"{arguments.output}: {size_of(labelled.frame)}")
    return 0
