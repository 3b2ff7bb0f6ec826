"""A new model: learnt from what was labelled, compared, and deployed while requests come in."""

import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from demo.lab import Lab, LabError, run
from flask_app.errors import ShillError
from flask_app.model.bundle import Bundle
from flask_app.settings import Settings
from flask_app.store.directory_store import DirectoryStore

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".cache/demo"
# Few requests come in where the lab shares its cores with much else.
CANARY = (
    "--extra-vars={model_server_canary_percent: 25, model_server_canary_seconds: 20,"
    " model_server_canary_requests: 20}"
)


@dataclass
class Traffic:
    """Requests that came in meanwhile, and how many of them were not answered."""

    requests: int = 0
    lost: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def flowing(self, lab: Lab, records: Sequence[dict[str, object]]) -> Iterator[None]:
        """Have records scored, one after the other, until the block ends."""
        sender = threading.Thread(target=self._send, args=(lab, records), daemon=True)
        sender.start()
        try:
            yield
        finally:
            self._stop.set()
            sender.join()

    def _send(self, lab: Lab, records: Sequence[dict[str, object]]) -> None:
        with lab.client() as client:
            while not self._stop.wait(0.01):
                try:
                    client.predict(records[self.requests % len(records)])
                except ShillError:
                    self.lost += 1
                self.requests += 1


@dataclass(frozen=True)
class Retrained:
    """What came of a training.

    Attributes:
        version: The new model.
        comparison: With the one before, as `train` prints it.
        traffic: What came in while it was deployed.
    """

    version: str
    comparison: str
    traffic: Traffic


class Registry:
    """The day's own model store, which begins with what `make up` deployed.

    Args:
        lab: Serves what is in production in the store.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._store = DirectoryStore(WORK / "models", Bundle)
        self._environment = {"SHILL_MODEL_STORE": str(self._store.path)}

    def begin(self) -> None:
        """Have the lab serve what `make up` deployed, also where another day has replaced it."""
        deployed = DirectoryStore(ROOT / Settings.from_environment().model_store, Bundle)
        pointer = deployed.production()
        if pointer is None:
            raise LabError(f"{deployed} has no model in production: `make up`")
        shutil.rmtree(WORK, ignore_errors=True)
        WORK.mkdir(parents=True)
        self._store.promote(self._store.publish(deployed.fetch(pointer.version)))
        if self._lab.model_version() != pointer.version:
            self._deploy()

    def retrain(self, since: datetime, records: Sequence[dict[str, object]]) -> Retrained:
        """Learn from the labels since a time, and promote; deploy while `records` are asked about.

        The new model first answers a quarter of the requests.

        Raises:
            LabError: The new model is not as good as the one in production, or is not deployed.
        """
        shutil.rmtree(WORK / "log", ignore_errors=True)
        self._lab.copy_log(WORK / "log")
        said = run(
            [
                *(sys.executable, "-m", "flask_app", "train", "--labels", "instead"),
                *("--since", since.isoformat(), "--promote"),
            ],
            ROOT,
            self._environment | {"SHILL_LOG_DIR": str(WORK / "log")},
        )
        comparison = next(line for line in said.splitlines() if line.startswith("F1 "))
        traffic = Traffic()
        with traffic.flowing(self._lab, records):
            self._lab.playbook("canary.yml", CANARY, environment=self._environment)
        return Retrained(self._lab.model_version(), comparison, traffic)

    def _deploy(self) -> None:
        self._lab.playbook("deploy.yml", environment=self._environment)
