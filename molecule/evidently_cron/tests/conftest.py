"""What the tests share: which job it is, and traffic for it."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from testinfra.host import Host

from flask_app.model.bundle import Bundle
from flask_app.store.directory_store import DirectoryStore
from tests.traffic import write_reference

ROOT = Path(__file__).resolve().parents[3]
STORE = DirectoryStore(ROOT / ".cache/molecule/store", Bundle)


@pytest.fixture(scope="module")
def job_name() -> str:
    """The job is the drift job."""
    return "drift"


@pytest.fixture(scope="module")
def traffic(host: Host, deliver: Callable[[Path, str], None]) -> None:
    """Predictions of the model's own training data: nothing has drifted."""
    pointer = STORE.production()
    assert pointer
    with tempfile.TemporaryDirectory() as directory:
        write_reference(Path(directory), STORE.fetch(pointer.version))
        host.check_output("rm --recursive --force /var/lib/shill/predictions/dt=*")
        deliver(Path(directory), "predictions")


@pytest.fixture(scope="module")
def role(converge: Callable[..., CompletedProcess[str]]) -> Callable[..., CompletedProcess[str]]:
    """Apply the role, with options that win over those of converge.yml."""
    return partial(converge, "--tags=evidently_cron:configure")
