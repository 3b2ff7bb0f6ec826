"""Gunicorn's configuration: `gunicorn -c python:flask_app.serving.gunicorn_conf`.

Everything that differs between deployments comes from the SHILL_* settings.
"""

import fcntl
import os
import sys
from typing import Any

from flask_app.errors import ShillError
from flask_app.serving import asgi, worker
from flask_app.serving.access import make_local_key
from flask_app.serving.metrics import free_slot, take_slot
from flask_app.serving.service_log import ServiceLog
from flask_app.settings import Settings

try:
    _settings = Settings.from_environment()
except ShillError as error:
    sys.exit(f"error: {error}")

wsgi_app = f"{asgi.__name__}:create()"
worker_class = f"{worker.__name__}.Worker"
workers = _settings.workers
bind = _settings.bind
# Each worker listens by itself, so the kernel spreads connections evenly, and a new container can
# listen on the port while the old one still drains.
reuse_port = True
# The master imports the modules, so a worker that takes another's place is there at once; each
# worker makes its own application, whose threads and sessions would not survive a fork.
preload_app = False
# No max_requests: memory is flat over requests and reloads (tests/integration/test_reload.py).

keepalive = _settings.keepalive_seconds
graceful_timeout = 30
# A worker's event loop that stands still this long is killed; no request may keep it that long.
timeout = max(30, int(2 * _settings.request_timeout_seconds))
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the heartbeat must not wait for a disk
control_socket_disable = True

logger_class = ServiceLog
loglevel = _settings.log_level


def on_starting(server: Any) -> None:
    """Empty the directory through which the workers will share their metrics."""
    directory = _settings.metrics_dir
    directory.mkdir(parents=True, exist_ok=True)
    # /dev/shm is open to all: what another user has put there would be written through.
    if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
        sys.exit(
            f"error: SHILL_METRICS_DIR={directory} is a link or another user's: remove it, or set "
            "another directory"
        )
    try:
        lock = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        sys.exit(f"error: SHILL_METRICS_DIR={directory} cannot be used ({error}): empty it")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"error: SHILL_METRICS_DIR={directory} is another server's: set it to a directory")
    for file in directory.glob("*.db"):
        file.unlink()
    try:
        make_local_key(directory)
    except ShillError as error:
        sys.exit(f"error: SHILL_METRICS_DIR: {error}")
    server.metrics_lock = lock  # held until the last worker is gone


def pre_fork(server: Any, worker: Any) -> None:
    """Give `worker` the metrics slot of one that is gone, or the next."""
    worker.slot = free_slot(other.slot for other in server.WORKERS.values())


def post_fork(_server: Any, worker: Any) -> None:
    """Let `worker` count in its slot."""
    take_slot(worker.slot, _settings.metrics_dir)
