"""`review`: serve the review desk, at which people decide what is suspicious, until told to stop.

It shows the predictions in SHILL_LOG_DIR and SHILL_ARCHIVE, explains them by the model in
production, and draws the bids of SHILL_REVIEW_AUCTIONS and SHILL_REVIEW_BIDS. What is decided goes
to the label log. SHILL_REVIEW_BIND says where to listen; there is no login, so let nobody else
reach it.

Examples:
    shill review
    SHILL_REVIEW_AUCTIONS=site/auctions.csv SHILL_REVIEW_BIDS=site/bids.csv shill review

Exit status: 0 it was stopped (SIGTERM), 1 a setting is wrong.
"""

import argparse
import os
import sys

from flask_app.settings import Settings

CONFIGURATION = "python:flask_app.review.gunicorn_conf"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the settings say it all."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Become Gunicorn's master process; returns only if that fails."""
    del arguments
    Settings.from_environment()
    command = [sys.executable, "-m", "gunicorn", "--config", CONFIGURATION]
    os.execv(sys.executable, command)  # noqa: S606 - the same interpreter, no shell
