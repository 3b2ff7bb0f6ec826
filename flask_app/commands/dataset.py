"""`dataset`: make a training set of the predictions that were labelled.

Joins the predictions here (SHILL_LOG_DIR) and in the archive (SHILL_ARCHIVE) with the labels that
/feedback took. Of several labels for a bidder in an auction the last holds. `train` learns from the
file when SHILL_DATASET names it.

Examples:
    shill dataset --output labelled.csv
    SHILL_ARCHIVE=s3://bucket shill dataset --output labelled.csv
    SHILL_DATASET=labelled.csv shill train

Exit status: 0 the file is written, 1 there are no labels of both kinds, the archive cannot be read
or the file cannot be written.
"""

import argparse
from pathlib import Path

from flask_app import files
from flask_app.archive.query import connect
from flask_app.data.dataset import size_of, to_csv
from flask_app.settings import Settings
from flask_app.training.labelled import labelled_records


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--output", type=Path, required=True, help="CSV to write, in UCI 562's published form"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and say what is in it; returns 0."""
    settings = Settings.from_environment()
    with connect(settings.log_dir, settings.archive) as database:
        labelled = labelled_records(database)
    files.write(arguments.output, to_csv(labelled.frame))
    print(f"{arguments.output}: {size_of(labelled.frame)}")
    if labelled.incomplete:
        print(f"{labelled.incomplete:,} records lack a feature and are left out")
    return 0
