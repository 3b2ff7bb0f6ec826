"""The review desk's Gunicorn: `gunicorn -c python:flask_app.review.gunicorn_conf`."""

import sys
from typing import Any

from flask import Flask

from flask_app.errors import ShillError
from flask_app.review.desk import Desk
from flask_app.review.web import create_review_app
from flask_app.serving.service_log import ServiceLog
from flask_app.settings import Settings

try:
    _settings = Settings.from_environment()
except ShillError as error:
    sys.exit(f"error: {error}")

_desk = Desk(_settings)

wsgi_app = f"{__name__}:create()"
bind = _settings.review_bind
# One process: what there is to decide is in its memory. Threads: nobody waits for another's page
# longer than a query takes.
workers = 1
threads = 8
worker_class = "gthread"
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the heartbeat must not wait for a disk
control_socket_disable = True
logger_class = ServiceLog
loglevel = _settings.log_level


def create() -> Flask:
    """Make the application of the worker."""
    return create_review_app(_desk)


def post_worker_init(_worker: Any) -> None:
    """Read what there is before the first request."""
    _desk.start()


def worker_exit(_server: Any, _worker: Any) -> None:
    """Close the label log."""
    _desk.stop()
