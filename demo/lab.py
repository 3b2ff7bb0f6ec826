"""The lab's parts as the day sees them: API, drift job, Prometheus, Alertmanager, its files."""

import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from flask_app.client import Client
from flask_app.drift.job import DriftExit
from flask_app.drift.summary import Summary
from flask_app.errors import ApiError, ServerUnreachable
from flask_app.serving.messages import Prediction

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 10.0
PREDICTIONS = "/var/lib/shill/predictions"
REPORTS = "/var/lib/shill/reports"
SITE = "/srv/site"
PATIENCE_SECONDS = 90.0
SINGLES = 50
SCORED = {DriftExit.NO_DRIFT, DriftExit.DRIFT}


class LabError(Exception):
    """The lab does not do what `make up` has left it doing."""


@dataclass(frozen=True)
class Lab:
    """Where the parts of the lab are reached from the controller."""

    container: str = "shill-lab"
    edge: str = "https://localhost:8443"
    desk: str = "http://127.0.0.1:8002"
    prometheus: str = "http://127.0.0.1:9090"
    alertmanager: str = "http://127.0.0.1:9093"
    files: Path = ROOT / ".cache/lab"
    """Where `make up` leaves what its clients need."""

    @property
    def key(self) -> str:
        """The key of the API that `make up` has made; raises `LabError`."""
        try:
            return (self.files / "api-key").read_text().strip()
        except OSError as error:
            raise LabError(f"there is no key of the lab ({error}): start it by `make up`") from None

    @property
    def trusted(self) -> ssl.SSLContext:
        """What vouches for the edge."""
        return ssl.create_default_context(cafile=self.files / "authority.pem")

    def client(self) -> Client:
        """Return a client of the API; raises `LabError`."""
        return Client(self.edge, key=self.key, authority=self.files / "authority.pem")

    def model_version(self) -> str:
        """Return the version that is served."""
        with self._client() as client:
            return client.model().version

    def show_site(self, tables: Mapping[str, bytes]) -> None:
        """Have the desk draw bids from an auction site's tables, `auctions.csv` and `bids.csv`."""
        for name, content in tables.items():
            path = f"{SITE}/{name.removesuffix('.csv')}/day.csv"
            self.on_host(
                "sh", "-c", f"cat > {path}.new && mv {path}.new {path}", stdin=content.decode()
            )

    def predict(self, records: list[dict[str, object]]) -> list[Prediction]:
        """Have `records` scored, the first ones one by one; returns the predictions."""
        with self._client() as client:
            singles = [client.predict(record) for record in records[:SINGLES]]
            return [*singles, *client.predict_batch(records[SINGLES:])]

    def run_drift_job(self) -> Summary:
        """Run the job as cron does, and return its summary once its alerts have been judged."""
        began = time.time()
        done = self.on_host("/usr/local/sbin/shill-drift")
        if done.returncode not in SCORED:
            raise LabError(
                f"the drift job ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        newest = self.on_host(
            "sh", "-c", f'cat "$(ls -d {REPORTS}/20*/ | tail -n 1)summary.json"'
        ).stdout
        wait_for("Prometheus to scrape the run", lambda: self._scraped() >= began - 1)
        scraped = time.time()
        wait_for("Prometheus to evaluate its rules", lambda: self._evaluated() > scraped)
        return msgspec.json.decode(newest, type=Summary)

    @contextmanager
    def without_cron(self) -> Iterator[None]:
        """Stop cron: a run by cron would count as one of the day's, or block one of them."""
        wait = "while docker inspect --type=container shill-drift; do sleep 0.5; done"
        self.on_host("sh", "-c", f"systemctl stop cron; {wait}")
        try:
            yield
        finally:
            self.on_host("systemctl", "start", "cron")

    def alerts(self) -> tuple[str, ...]:
        """Names of the alerts that Alertmanager holds as firing, Watchdog left out."""
        firing = _get(f"{self.alertmanager}/api/v2/alerts", active="true")
        names = {alert["labels"]["alertname"] for alert in firing}
        return tuple(sorted(names - {"Watchdog"}))

    def copy_log(self, directory: Path) -> None:
        """Copy predictions and labels from the host, so that they can be learnt from."""
        command = ["docker", "cp", f"{self.container}:{PREDICTIONS}", str(directory)]
        copied = subprocess.run(command, capture_output=True, text=True, check=False)
        if copied.returncode:
            raise LabError(f"{copied.stderr.strip()}: is the lab up? `make up`")

    def on_host(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on the host as root; returns what came of it, also of one that failed."""
        interactive = [] if stdin is None else ["--interactive"]
        return subprocess.run(
            ["docker", "exec", *interactive, self.container, *command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    def playbook(
        self, name: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run a playbook of `ansible/` on the lab; returns what it printed; raises `LabError`."""
        return run(
            ["ansible-playbook", "--inventory=../inventory/lab", name, *arguments],
            ROOT / "ansible",
            environment or {},
        )

    def _scraped(self) -> float:
        query = "max(shill_drift_last_run_timestamp_seconds)"
        answer = _get(f"{self.prometheus}/api/v1/query", query=query)
        return max((float(sample["value"][1]) for sample in answer["data"]["result"]), default=0.0)

    def _evaluated(self) -> float:
        """When the group of rules that was evaluated longest ago was, Unix time."""
        answer = _get(f"{self.prometheus}/api/v1/rules")
        return min(
            datetime.fromisoformat(group["lastEvaluation"]).timestamp()
            for group in answer["data"]["groups"]
        )

    @contextmanager
    def _client(self) -> Iterator[Client]:
        try:
            with self.client() as client:
                yield client
        except ApiError as error:
            raise LabError(f"{self.edge} refuses the day's requests: {error}") from error
        except ServerUnreachable as error:
            raise LabError(f"{error} Start the lab by `make up`.") from error


def run(command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> str:
    """Run a command with more in its environment; returns its output; raises `LabError`."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stdout[-4000:]}{done.stderr[-2000:]}")
    return done.stdout


def wait_for(what: str, condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; raises `LabError` if it does not in `PATIENCE_SECONDS`."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise LabError(f"waited {PATIENCE_SECONDS:g} s for {what}")
        time.sleep(0.5)


def _get(url: str, **parameters: str) -> Any:
    """Return what Prometheus or Alertmanager answers; raises `LabError`."""
    try:
        answer = httpx.get(url, params=parameters, timeout=SECONDS, trust_env=False)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise LabError(f"{url}: {error}: is the lab up? `make up`") from error
    return answer.json()
