"""`serve`: serve the model in production by the API, with Gunicorn, until it is told to stop.

The model is looked for in SHILL_MODEL_STORE; a newly promoted one is taken up without a restart.
SHILL_BIND says where to listen, SHILL_WORKERS with how many processes.

Examples:
    shill train --promote && shill serve
    SHILL_MODEL_STORE=s3://bucket/models SHILL_BIND=0.0.0.0:8000 shill serve

Exit status: 0 it was stopped (SIGTERM), 1 a setting is wrong.
"""

import argparse
import os
import sys

from flask_app.serving import gunicorn_conf
from flask_app.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the settings say it all."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Become Gunicorn's master process; returns only if that fails."""
    del arguments
    Settings.from_environment()
    command = [sys.executable, "-m", "gunicorn", "--config", f"python:{gunicorn_conf.__name__}"]
    os.execv(sys.executable, command)  # noqa: S606 - the same interpreter, no shell
