"""The drift job's image scores a real log within the bounds of its role, and holds no more."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from flask_app.model.bundle import Bundle
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle
from tests.integration.images import build
from tests.traffic import write_reference

BOUNDS = [
    "--rm",
    "--network=none",
    "--read-only",
    "--tmpfs=/tmp:mode=1777,size=64m",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges:true",
    "--memory=768m",
    "--memory-swap=768m",
    "--pids-limit=64",
]


@pytest.fixture(scope="module")
def image() -> str:
    """The image of this checkout, built where there is an engine."""
    return build("flask_app/drift/Dockerfile", "shill/drift")


@pytest.fixture(scope="module")
def directories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in production and its traffic, and places for what comes of them."""
    directory = tmp_path_factory.mktemp("drift-image")
    store = DirectoryStore(directory / "models", Bundle)
    version = store.publish(make_bundle(directory))
    store.promote(version)
    write_reference(directory / "predictions", store.fetch(version))
    for name in ("reports", "textfile"):
        (directory / name).mkdir()
        (directory / name).chmod(0o777)
    for path in [*directory.parents[:2], directory, *directory.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
    return directory


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a container to its end."""
    command = ["docker", "run", *BOUNDS, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_scores_a_real_log_and_draws_the_report(image: str, directories: Path) -> None:
    done = run(
        f"--volume={directories}/models:/models:ro",
        f"--volume={directories}/predictions:/predictions:ro",
        f"--volume={directories}/reports:/reports",
        f"--volume={directories}/textfile:/textfile",
        image,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shill_data_drift_score 0" in (directories / "textfile/shill_drift.prom").read_text()
    (report,) = directories.glob("reports/*/report.html")
    page = report.read_text()
    assert "winning_ratio" in page
    assert len(page) > 1_000_000, "the report is drawn by a script that it brings along"


def test_it_ships_too(image: str) -> None:
    """Whatever S3's client needs is there; what it then does is not the image's business."""
    client = "import boto3; boto3.client('s3', 'eu-central-1'); boto3.client('sts', 'eu-central-1')"
    done = run(image, "python", "-c", f"import flask_app.commands.ship; {client}")
    assert done.returncode == 0, done.stderr


def test_it_holds_the_jobs_and_neither_server_nor_training(image: str) -> None:
    look = "cd /opt/shill/flask_app && ls -d */ && ls commands && command -v pip gcc curl"
    assert run(image, "sh", "-c", look).stdout.split() == [
        "__pycache__/",
        "archive/",
        "commands/",
        "drift/",
        "log/",
        "model/",
        "reference/",
        "store/",
        "__init__.py",
        "__pycache__",
        "drift.py",
        "ship.py",
    ]


def test_it_runs_as_nobody_in_particular(image: str) -> None:
    assert run(image, "id", "-u").stdout.strip() == "10001"


def test_it_reports_to_nobody(image: str) -> None:
    inspect = ["docker", "inspect", "--format={{json .Config.Env}}", image]
    environment = json.loads(subprocess.run(inspect, stdout=subprocess.PIPE, check=True).stdout)
    assert "DO_NOT_TRACK=1" in environment


def test_it_is_not_larger_than_it_must_be(
    image: str, record_property: Callable[[str, object], None]
) -> None:
    inspect = ["docker", "inspect", "--format={{.Size}}", image]
    size = int(subprocess.run(inspect, stdout=subprocess.PIPE, check=True).stdout) / 1e6
    record_property("drift_image_mb", round(size))
    assert size < 700
