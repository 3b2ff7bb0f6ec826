"""What the tests share: which job it is, and traffic for it."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests import traffic
from tests.s3 import DistantS3

Converge = Callable[..., CompletedProcess[str]]
Predict = Callable[[int], dict[str, list[str]]]


@pytest.fixture(scope="module")
def job_name() -> str:
    """The job is the one that ships."""
    return "archive"


@pytest.fixture(scope="module")
def role(converge: Converge) -> Converge:
    """Apply the role, with options that win over those of converge.yml."""
    return partial(converge, "--tags=prediction_archive:configure")


@pytest.fixture(scope="module", autouse=True)
def shipping(s3: DistantS3, configured: Callable[..., None]) -> None:
    """Two segments a run go to a bucket that is there; the drift job reads 300 hours back."""
    configured(
        prediction_archive_environment=s3.environment,
        prediction_archive_settings={"archive_run_segments": 2, "archive_keep_hours": 400},
        evidently_cron_settings={"drift_label_hours": 300, "drift_window_rows": 5},
    )


@pytest.fixture
def predict(deliver: Callable[[Path, str], None]) -> Predict:
    """Leave the host some closed segments of three predictions; returns ids by the key in S3."""

    def run(segments: int) -> dict[str, list[str]]:
        logged = {}
        with tempfile.TemporaryDirectory() as directory:
            for number in range(segments):
                at = traffic.NOW + 3600 * number
                lines = [traffic.prediction(at + second, second) for second in range(3)]
                segment = traffic.write(Path(directory), lines, at=at)
                key = f"predictions/{segment.parent.name}/{segment.stem}.parquet"
                logged[key] = [line.prediction_id for line in lines]
            deliver(Path(directory), "predictions")
        return logged

    return run
