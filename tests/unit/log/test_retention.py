"""Retention deletes what is old and closed; no wrong clock and no bad file misleads it."""

import fcntl
import os
import time
from pathlib import Path

import pytest

from flask_app.log.retention import Retention

DAY = 86_400.0


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def segment(log: Path, days_old: float, *, size: int = 10) -> Path:
    """Write a closed segment that is as old as that."""
    at = time.time() - days_old * DAY
    path = log / f"dt={time.strftime('%Y-%m-%d', time.gmtime(at))}" / f"{at:017.6f}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (at, at))
    return path


def retention(log: Path, *, days: float = 90, max_bytes: int = 1 << 30) -> Retention:
    return Retention(log, max_bytes=max_bytes, max_age_seconds=days * DAY)


def test_closed_segments_beyond_the_age_are_deleted_with_their_days(log: Path) -> None:
    old, young = segment(log, 91), segment(log, 1)
    retention(log).sweep()
    assert not old.parent.exists()
    assert young.exists()


def test_an_open_segment_stays_however_old_it_is(log: Path) -> None:
    old, _ = segment(log, 91), segment(log, 1)
    with old.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        retention(log).sweep()
    assert old.exists()


def test_beyond_the_total_the_oldest_are_deleted(log: Path) -> None:
    segments = [segment(log, days, size=100) for days in (5, 4, 3, 2, 1)]
    retention(log, max_bytes=250).sweep()
    assert [path.exists() for path in segments] == [False, False, False, True, True]


def test_labels_are_swept_though_none_arrives(log: Path) -> None:
    segment(log, 1)
    old, young = segment(log / "labels", 91), segment(log / "labels", 80)
    retention(log).sweep()
    assert (old.exists(), young.exists()) == (False, True)


def test_a_clock_set_ahead_while_the_service_runs_deletes_nothing(
    log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    segments = [segment(log, days) for days in (60, 1)]
    kept = retention(log)
    kept.sweep()
    ahead = time.time() + 91 * DAY
    monkeypatch.setattr(time, "time", lambda: ahead)
    kept.sweep()
    kept.sweep()
    assert all(path.exists() for path in segments)
    assert len(caplog.records) == 1
    assert "91.0 days ahead" in caplog.text


def test_a_clock_that_is_ahead_at_the_start_deletes_nothing(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = [segment(log, days) for days in (60, 1)]
    ahead = time.time() + 91 * DAY
    monkeypatch.setattr(time, "time", lambda: ahead)
    retention(log).sweep()
    assert all(path.exists() for path in segments)


def test_time_that_passes_is_believed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, young = segment(log, 60), segment(log, 1)
    kept = retention(log)
    kept.sweep()
    clock, monotonic = time.time() + 40 * DAY, time.monotonic() + 40 * DAY
    monkeypatch.setattr(time, "time", lambda: clock)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic)
    kept.sweep()
    assert (old.exists(), young.exists()) == (False, True)


def test_a_file_that_cannot_be_examined_stays_is_told_once_and_holds_up_no_other(
    log: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *others = (segment(log, days) for days in (95, 94, 93))
    segment(log, 1)
    original = os.open

    def refuse(path: Path, *arguments: int) -> int:
        if path == bad:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    kept = retention(log)
    kept.sweep()
    kept.sweep()
    assert bad.exists()
    assert not any(path.exists() for path in others)
    (record,) = caplog.records
    assert str(bad) in record.getMessage()
