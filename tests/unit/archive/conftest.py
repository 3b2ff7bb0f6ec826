"""A host's logs, as the server writes them, and an archive."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flask_app.archive.ship import Outcome, Shipper
from flask_app.log.ids import prediction_ids
from flask_app.log.lines import LoggedLabel, LoggedPrediction
from flask_app.log.writer import SegmentWriter
from flask_app.record import FEATURES, Record
from flask_app.s3 import S3Folder
from tests.s3 import BUCKET, S3

KEEP_SECONDS = 3600.0


class Host:
    """A host.

    Attributes:
        acknowledged: The ids of the predictions in its log.
    """

    def __init__(self, directory: Path) -> None:
        self.log_dir = directory / "predictions"
        self.reports_dir = directory / "reports"
        self.acknowledged: list[str] = []

    def writer(self, directory: str = "") -> SegmentWriter:
        return SegmentWriter(
            self.log_dir / directory,
            segment_bytes=1 << 20,
            segment_seconds=3600.0,
            fsync_seconds=3600.0,
        )

    def predict(self, writer: SegmentWriter, count: int = 3, **fields: Any) -> list[str]:
        identifiers = prediction_ids(count)
        lines = [prediction(identifier, **fields) for identifier in identifiers]
        assert writer.append(msgspec.json.Encoder().encode_lines(lines), count)
        self.acknowledged += identifiers
        return identifiers

    def segment(self, count: int = 3, **fields: Any) -> Path:
        """Write a closed segment."""
        before = set(self.segments())
        writer = self.writer()
        self.predict(writer, count, **fields)
        writer.close()
        (path,) = set(self.segments()) - before
        return path

    def label(self, identifiers: list[str], **fields: Any) -> Path:
        """Write a closed segment of labels."""
        writer = self.writer("labels")
        now = datetime.now(UTC)
        known: dict[str, Any] = {"is_shill": True, "labelled_at": now, "at": now} | fields
        lines = [LoggedLabel(prediction_id=item, **known) for item in identifiers]
        writer.append(msgspec.json.Encoder().encode_lines(lines), len(lines), durable=True)
        writer.close()
        return max(self.log_dir.glob("labels/dt=*/*.jsonl"))

    def report(self, stamp: str, *names: str) -> Path:
        """Write a report with the files `names`."""
        directory = self.reports_dir / stamp
        directory.mkdir(parents=True)
        for name in names or ("report.html", "summary.json"):
            (directory / name).write_text(f"{name} of {stamp}")
        return directory

    def segments(self) -> list[Path]:
        return sorted(self.log_dir.glob("dt=*/*.jsonl"))

    def age(self, *paths: Path) -> None:
        """Let `paths` be older than what stays here."""
        then = time.time() - KEEP_SECONDS - 1
        for path in paths:
            os.utime(path, (then, then))


def prediction(identifier: str, **fields: Any) -> LoggedPrediction:
    values: dict[str, Any] = {"auction_id": "732"} | dict.fromkeys(FEATURES, 0.5)
    line = {
        "prediction_id": identifier,
        "at": datetime.now(UTC),
        "model_version": "tests-000000000000",
        "record": Record(**values),
        "probability": 0.25,
        "prediction": 0,
        "threshold": 0.5,
    }
    return LoggedPrediction(**(line | fields))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


class Ship:
    """Ships a host's logs."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def __call__(self, *, limit: int = 100) -> Outcome:
        return Shipper(
            S3Folder(f"s3://{BUCKET}"),
            log_dir=self._host.log_dir,
            reports_dir=self._host.reports_dir,
            host="one",
            keep_seconds=KEEP_SECONDS,
            limit=limit,
        ).run()


@pytest.fixture
def ship(host: Host, s3: S3) -> Ship:
    assert s3.objects() == {}
    host.log_dir.mkdir()
    return Ship(host)


@pytest.fixture
def archive(tmp_path: Path, s3: S3) -> Callable[[], Path]:
    """Copies the archive into a directory, as `aws s3 sync` does."""

    def copy() -> Path:
        for key in s3.objects():
            path = tmp_path / "archive" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.read(key))
        return tmp_path / "archive"

    return copy
