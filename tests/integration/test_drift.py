"""The drift job as cron runs it: a process of its own, Evidently, full disks and sudden deaths."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flask_app.drift.comparison import compare
from flask_app.drift.metrics import RESULTS, RUN
from flask_app.model.bundle import REFERENCE, Bundle
from flask_app.record import FEATURES
from flask_app.reference.distance import normed_wasserstein
from flask_app.simulator.market import Market
from flask_app.simulator.simulation import simulate
from flask_app.store.directory_store import DirectoryStore
from flask_app.training.candidates import CANDIDATES
from flask_app.training.train import train
from tests.integration.conftest import Bundles
from tests.integration.server import PATIENCE_SECONDS, Server, running, wait_until
from tests.traffic import prediction, write

ROOT = Path(__file__).parents[2]

WITHOUT_EVIDENTLY = """
from flask_app.drift import job
job.compare = lambda reference, window, thresholds: (dict.fromkeys(thresholds, 0.0), b"")
"""
"""Begins a program in which the job takes no seconds to import Evidently."""


class Site:
    """The directories of a host, and the job on it."""

    def __init__(self, directory: Path, store: Path, log_dir: Path) -> None:
        self.reports_dir = directory / "reports"
        self.textfile_dir = directory / "textfile"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SHILL_")} | {
            "SHILL_MODEL_STORE": str(store),
            "SHILL_LOG_DIR": str(log_dir),
            "SHILL_DRIFT_REPORTS_DIR": str(self.reports_dir),
            "SHILL_DRIFT_TEXTFILE_DIR": str(self.textfile_dir),
        }

    def start(self, before: str = "", **settings: Any) -> subprocess.Popen[str]:
        """Start the job in a program that first does what `before` says."""
        program = f"import sys\n{before}\nfrom flask_app.cli import main\nsys.exit(main(['drift']))"
        return subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=self.environment
            | {f"SHILL_DRIFT_{k.upper()}": str(v) for k, v in settings.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, before: str = "", **settings: Any) -> tuple[int, str, str]:
        """Run the job; returns its exit status, and what it wrote to stdout and stderr."""
        process = self.start(before, **settings)
        out, err = process.communicate(timeout=5 * PATIENCE_SECONDS)
        return process.returncode, out, err

    def metrics(self, name: str = RESULTS) -> dict[str, float]:
        """The samples by name and the values of their labels, in the order of the labels' names."""
        text = (self.textfile_dir / name).read_text()
        return {
            " ".join(
                [sample.name, *(value for _, value in sorted(sample.labels.items()))]
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def content(self) -> dict[str, bytes]:
        """Every file that is not hidden, but the one about the run itself."""
        paths = [
            *self.reports_dir.glob("[!.]*"),
            *self.reports_dir.glob("[!.]*/*"),
            *self.textfile_dir.glob("[!.]*"),
        ]
        return {
            str(path.relative_to(self.reports_dir.parent)): path.read_bytes()
            for path in paths
            if path.is_file() and path.name != RUN
        }


def is_held(lock: Path) -> bool:
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.fixture
def site(tmp_path: Path, bundles: Bundles) -> Site:
    """A host with a model and 300 predictions like its training data."""
    store = DirectoryStore(tmp_path / "models", Bundle)
    version = store.publish(bundles[0])
    store.promote(version)
    reference = pd.read_parquet(bundles[0] / REFERENCE).head(300)
    now = time.time()
    write(
        tmp_path / "predictions",
        [
            prediction(now - 60, number, model_version=version, **values)
            for number, values in enumerate(reference[list(FEATURES)].to_dict("records"))
        ],
        at=now - 60,
    )
    return Site(tmp_path, store.path, tmp_path / "predictions")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt from simulated auctions."""
    candidates = {"logistic_regression": CANDIDATES["logistic_regression"]}
    parent = tmp_path_factory.mktemp("bundles")
    return train(simulate(400, seed=0), 0, parent, candidates=candidates).directory


def send(server: Server, auctions: int, seed: int, market: Market | None = None) -> None:
    """Have simulated records scored, then tell their labels."""
    frame = simulate(auctions, seed, market or Market()).frame
    records = frame[["auction_id", "bidder_id", *FEATURES]].to_dict("records")
    answer = server.post("/predict_batch", records)
    assert answer.status == 200
    labels = [
        {"prediction_id": item["prediction_id"], "is_shill": bool(is_shill)}
        for item, is_shill in zip(answer.json["predictions"], frame["is_shill"], strict=True)
    ]
    assert server.post("/feedback", {"labels": labels}).status == 200


def test_from_request_to_metric(tmp_path: Path, simulated: Path) -> None:
    with running(tmp_path, [simulated]) as server:
        site = Site(tmp_path, server.store.path, server.log_dir)
        code, out, _ = site.run()
        assert (code, "nothing scored" in out) == (4, True)

        send(server, 400, seed=1)
        code, out, err = site.run()
        assert (code, err) == (0, ""), out
        metrics = site.metrics()
        rows = metrics["shill_drift_window_rows"]
        assert rows == server.metric("shill_predictions_total")
        assert metrics["shill_labelled_rows"] == rows
        assert metrics["shill_label_coverage_ratio"] == 1
        baseline = Bundle.open(simulated).manifest.metrics.f1
        for source in ("estimated", "labelled"):
            f1 = metrics[f"shill_model_performance_score f1 {source}"]
            assert f1 == pytest.approx(baseline, abs=0.05)

        send(server, 400, seed=2, market=Market(shills=2.5))
        code, out, _ = site.run(window_rows=int(rows))
        assert (code, "drift of" in out) == (3, True)
        metrics = site.metrics()
        assert metrics["shill_data_drift_score"] > 0.5
        assert metrics["shill_drift_alarm_streak"] == 1
        assert metrics["shill_feature_drift_alarm_streak successive_outbidding"] == 1


def test_evidently_measures_as_the_thresholds_were_calibrated(simulated: Path) -> None:
    reference = pd.read_parquet(simulated / REFERENCE)[list(FEATURES)].to_numpy(np.float64)
    random = np.random.default_rng(0)
    window = random.choice(reference, 500) * random.uniform(0.5, 1.5, len(FEATURES))
    window[:, 3] = 0.25  # constant
    window[:, 2] = window[:, 2].round()  # few values
    thresholds = dict.fromkeys(FEATURES, 0.1)
    distances, page = compare(reference, window, thresholds)
    assert distances == {
        name: pytest.approx(normed_wasserstein(one, other))
        for name, one, other in zip(FEATURES, reference.T, window.T, strict=True)
    }
    for name in FEATURES:
        assert name.encode() in page
    # The page needs nothing from elsewhere.
    assert not re.search(rb"<(script|link|img|iframe)[^>]*\b(src|href)=", page)


def test_the_job_connects_to_nobody(site: Site) -> None:
    watch = """
REACHING_OUT = (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "subprocess.Popen", "os.fork", "os.posix_spawn",
)
def watch(event, arguments):
    if event in REACHING_OUT:
        print("REACHES OUT", event, arguments, file=sys.stderr, flush=True)
    if event == "import" and arguments[0] == "evidently":
        import os
        print("tracking", os.environ.get("DO_NOT_TRACK"), flush=True)
sys.addaudithook(watch)
"""
    code, out, err = site.run(watch)
    assert code == 0
    assert "tracking 1" in out
    assert "tracking None" not in out
    assert "REACHES OUT" not in err


def test_a_run_without_enough_rows_does_not_import_evidently(site: Site) -> None:
    tell = """
import atexit
atexit.register(lambda: print("imported", "evidently" in sys.modules))
"""
    assert "imported False" in site.run(tell, minimum_rows=301)[1]
    assert "imported True" in site.run(tell)[1]


def test_of_two_runs_at_once_one_gives_way(site: Site) -> None:
    first = site.start()
    wait_until(lambda: is_held(site.reports_dir / ".lock"))
    code, _, err = site.run(WITHOUT_EVIDENTLY)
    assert (code, "another run holds" in err) == (5, True)
    first.communicate(timeout=5 * PATIENCE_SECONDS)
    assert first.returncode == 0
    assert len(list(site.reports_dir.glob("*/summary.json"))) == 1


@pytest.mark.parametrize("renames", range(4))
def test_a_killed_run_leaves_whole_files_and_no_lock(site: Site, renames: int) -> None:
    """The job makes each of its files visible by a rename; here it dies just before one."""
    assert site.run(WITHOUT_EVIDENTLY)[0] == 0
    before = site.content()
    die = f"""
import os, signal
renames = []
def watch(event, arguments):
    if event == "os.rename":
        renames.append(arguments)
        if len(renames) > {renames}:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
"""
    time.sleep(1.1)  # a report of its own second
    assert site.run(WITHOUT_EVIDENTLY + die)[0] == -signal.SIGKILL
    after = site.content()
    # Report, index, results, and last of all the run itself.
    changed = {name for name in after if before.get(name) != after[name]}
    assert len(changed) == (0, 2, 3, 4)[renames]
    assert (f"textfile/{RESULTS}" in changed) == (renames == 3)
    for summary in site.reports_dir.glob("*/summary.json"):
        json.loads(summary.read_bytes())

    assert not is_held(site.reports_dir / ".lock")
    time.sleep(1.1)
    assert site.run(WITHOUT_EVIDENTLY)[0] == 0
    hidden = {path.name for path in (*site.reports_dir.iterdir(), *site.textfile_dir.iterdir())}
    assert {name for name in hidden if name.startswith(".")} == {".lock"}
    assert site.metrics(RUN)["shill_drift_last_exit_code"] == 0


@pytest.fixture
def tiny_disk() -> Iterator[Callable[[Path], None]]:
    """Mounts a disk of 64 kB on a directory."""
    mounted = []

    def mount(directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(directory)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a tmpfs cannot be mounted: {done.stderr.strip()}")
        mounted.append(directory)

    yield mount
    for directory in mounted:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> None:
    with (directory / "ballast").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 4096)
            except OSError:
                return


def test_without_room_for_the_report_the_results_stay(
    site: Site, tiny_disk: Callable[[Path], None]
) -> None:
    tiny_disk(site.reports_dir)
    assert site.run(WITHOUT_EVIDENTLY)[0] == 0
    fill(site.reports_dir)
    before = site.content()
    code, _, err = site.run(WITHOUT_EVIDENTLY)
    assert (code, "No space left on device" in err) == (1, True)
    assert site.content() == before
    assert site.metrics(RUN)["shill_drift_last_exit_code"] == 1
    (site.reports_dir / "ballast").unlink()
    assert site.run(WITHOUT_EVIDENTLY)[0] == 0


def test_without_room_for_the_metrics_the_old_ones_stay(
    site: Site, tiny_disk: Callable[[Path], None]
) -> None:
    tiny_disk(site.textfile_dir)
    assert site.run(WITHOUT_EVIDENTLY)[0] == 0
    fill(site.textfile_dir)
    before = {path.name: path.read_bytes() for path in site.textfile_dir.iterdir()}
    code, _, err = site.run(WITHOUT_EVIDENTLY)
    assert (code, "No space left on device" in err) == (1, True)
    assert {path.name: path.read_bytes() for path in site.textfile_dir.iterdir()} == before
    (site.textfile_dir / "ballast").unlink()
    assert site.run(WITHOUT_EVIDENTLY)[0] == 0
    assert site.metrics(RUN)["shill_drift_last_exit_code"] == 0
