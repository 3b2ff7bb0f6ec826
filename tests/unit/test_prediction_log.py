"""The prediction log keeps every accepted line once, whatever disk and processes do."""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from flask_app import prediction_log
from flask_app.prediction_log import (
    LoggedLabel,
    PredictionId,
    SegmentReader,
    SegmentWriter,
    is_open,
    prediction_ids,
)
from tests.limits import largest_file

# Python 3.12 and later warn of what this log copes with.
fork = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


class Line(msgspec.Struct):
    text: str


def line(text: str) -> bytes:
    return msgspec.json.encode(Line(text)) + b"\n"


def texts(directory: Path) -> list[str]:
    return [item.text for item in SegmentReader(directory, Line)]


def segments(directory: Path) -> list[Path]:
    return SegmentReader(directory, Line).segments()


@pytest.fixture
def dropped() -> list[int]:
    return []


MakeWriter = Callable[..., SegmentWriter]


@pytest.fixture
def make_writer(tmp_path: Path, dropped: list[int]) -> Iterator[MakeWriter]:
    writers = []

    def make(**limits: float) -> SegmentWriter:
        arguments = {
            "segment_bytes": 1 << 20,
            "segment_seconds": 3600.0,
            "retention_bytes": 1 << 30,
            "retention_days": 90.0,
            "fsync_seconds": 0.01,
        } | limits
        writer = SegmentWriter(tmp_path / "log", on_drop=dropped.append, **arguments)
        writers.append(writer)
        return writer

    yield make
    for writer in writers:
        writer.close()


def total_bytes(directory: Path) -> int:
    total = 0
    for segment in segments(directory):
        with contextlib.suppress(FileNotFoundError):  # just deleted
            total += segment.stat().st_size
    return total


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for the timer thread; pytest-level patience, not a measurement."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("the log's timer did not get to it")


def test_an_appended_line_is_in_the_file_before_append_returns(make_writer: MakeWriter) -> None:
    writer = make_writer(fsync_seconds=3600)
    assert writer.append(line("a"))
    assert texts(writer.directory) == ["a"]


def test_a_segment_lies_in_the_directory_of_its_utc_day(make_writer: MakeWriter) -> None:
    writer = make_writer()
    writer.append(line("a"))
    (segment,) = segments(writer.directory)
    assert segment.parent.name == f"dt={datetime.now(UTC).date().isoformat()}"


def test_an_open_segment_is_locked_and_a_closed_one_is_not(make_writer: MakeWriter) -> None:
    writer = make_writer()
    writer.append(line("a"))
    (segment,) = segments(writer.directory)
    assert is_open(segment)
    writer.close()
    assert not is_open(segment)
    assert not is_open(segment.with_name("gone.jsonl"))


def test_a_segment_is_locked_before_it_has_its_name(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    visible_at_lock: list[Path] = []
    writer = make_writer()

    def spy(fd: int, operation: int) -> None:
        visible_at_lock.extend(segments(writer.directory))
        original(fd, operation)

    original = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", spy)
    writer.append(line("a"))
    monkeypatch.undo()
    assert visible_at_lock == []
    assert len(segments(writer.directory)) == 1


@fork
def test_a_killed_writers_segment_counts_as_closed(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        writer = SegmentWriter(
            tmp_path,
            segment_bytes=1 << 20,
            segment_seconds=60,
            retention_bytes=1 << 20,
            retention_days=1,
            fsync_seconds=60,
        )
        writer.append(line("acknowledged"))
        os.write(writing, b".")
        time.sleep(60)
        os._exit(1)
    assert os.read(reading, 1) == b"."
    (segment,) = segments(tmp_path)
    assert is_open(segment)
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert not is_open(segment)
    assert texts(tmp_path) == ["acknowledged"]


@fork
def test_a_forked_child_writes_a_segment_of_its_own(make_writer: MakeWriter) -> None:
    writer = make_writer()
    writer.append(line("parent"))
    child = os.fork()
    if child == 0:
        os._exit(0 if writer.append(line("child")) else 1)
    assert os.waitpid(child, 0)[1] == 0
    writer.append(line("parent again"))
    assert sorted(texts(writer.directory)) == ["child", "parent", "parent again"]
    assert len(segments(writer.directory)) == 2


def test_a_segment_is_closed_when_it_is_full(make_writer: MakeWriter) -> None:
    writer = make_writer(segment_bytes=4096)
    for number in range(1000):
        writer.append(line(f"{number:04}"))
    sizes = [segment.stat().st_size for segment in segments(writer.directory)]
    assert len(sizes) > 3
    assert max(sizes) <= 4096
    assert texts(writer.directory) == [f"{number:04}" for number in range(1000)]
    wait_for(lambda: sum(map(is_open, segments(writer.directory))) == 1)


def test_an_idle_segment_is_closed_when_it_is_old(make_writer: MakeWriter) -> None:
    writer = make_writer(segment_seconds=0.05)
    writer.append(line("a"))
    (segment,) = segments(writer.directory)
    wait_for(lambda: not is_open(segment))


def test_a_segment_ends_with_its_day(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    now = midnight - 0.001
    monkeypatch.setattr(prediction_log.time, "time", lambda: now)
    writer = make_writer(retention_days=36_500, fsync_seconds=3600)
    writer.append(line("before"))
    now = midnight
    writer.append(line("after"))
    days = [segment.parent.name for segment in segments(writer.directory)]
    assert days == ["dt=2026-11-23", "dt=2026-11-24"]


def test_an_empty_segment_leaves_nothing_behind(make_writer: MakeWriter) -> None:
    writer = make_writer()
    assert writer.check()
    assert len(segments(writer.directory)) == 1
    writer.close()
    assert segments(writer.directory) == []


def test_lines_that_do_not_fit_on_the_disk_are_dropped_whole_and_counted(
    make_writer: MakeWriter, dropped: list[int]
) -> None:
    writer = make_writer()
    writer.append(line("before"))
    with largest_file(len(line("before")) + 10):  # room for a part of the next lines
        assert not writer.append(line("x" * 20) + line("y" * 20), count=2)
        assert writer.failure is not None
        assert writer.check(), "a full disk must not take the host out of service"
    assert dropped == [2]
    assert writer.append(line("after"))
    assert writer.failure is None
    reader = SegmentReader(writer.directory, Line)
    assert [item.text for item in reader] == ["before", "after"]
    assert reader.torn_lines == 0


def test_a_line_that_cannot_be_taken_back_ends_its_segment(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = make_writer()
    writer.append(line("before"))

    def refuse(_fd: int, _size: int) -> None:
        raise OSError(5, "Input/output error")

    with largest_file(len(line("before")) + 10), monkeypatch.context() as patch:
        patch.setattr(prediction_log.os, "ftruncate", refuse)
        assert not writer.append(line("x" * 20))
    writer.append(line("after"))
    reader = SegmentReader(writer.directory, Line)
    assert [item.text for item in reader] == ["before", "after"]
    assert reader.torn_lines == 1
    assert len(segments(writer.directory)) == 2


def test_a_log_that_cannot_be_opened_drops_lines_and_fails_its_check(
    tmp_path: Path, make_writer: MakeWriter, dropped: list[int]
) -> None:
    (tmp_path / "log").write_text("a file where the directory should be")
    writer = make_writer()
    assert not writer.append(line("a"))
    assert not writer.check()
    assert dropped == [1]
    (tmp_path / "log").unlink()
    assert writer.check()
    assert writer.append(line("b"))


def test_a_durable_line_is_on_disk_before_append_returns(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    writer = make_writer(fsync_seconds=3600)
    writer.check()
    (segment,) = segments(writer.directory)
    monkeypatch.setattr(prediction_log.os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    writer.append(line("a"), durable=True)
    assert synced == [segment.stat().st_size]


def test_written_lines_are_forced_to_disk_by_the_timer(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = threading.Event()
    original = os.fsync

    def fsync(fd: int) -> None:
        original(fd)
        synced.set()

    writer = make_writer()
    writer.check()
    monkeypatch.setattr(prediction_log.os, "fsync", fsync)
    writer.append(line("a"))
    assert synced.wait(10)


def test_closed_segments_beyond_the_total_are_deleted_oldest_first(
    make_writer: MakeWriter,
) -> None:
    writer = make_writer(segment_bytes=4096, retention_bytes=20_000)
    for number in range(5000):
        writer.append(line(f"{number:04}"))
    wait_for(lambda: total_bytes(writer.directory) <= 20_000)
    kept = texts(writer.directory)
    assert kept == [f"{number:04}" for number in range(5000)][-len(kept) :]
    assert len(kept) > 500


def test_segments_beyond_the_age_are_deleted_with_their_days_but_open_ones_stay(
    tmp_path: Path, make_writer: MakeWriter
) -> None:
    old = datetime.now(UTC) - timedelta(days=91)
    for day, name in (("dt=2020-01-01", "closed"), ("dt=2020-01-02", "open")):
        segment = tmp_path / "log" / day / f"{name}.jsonl"
        segment.parent.mkdir(parents=True)
        segment.write_bytes(line(name))
        os.utime(segment, (old.timestamp(), old.timestamp()))
    with segment.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer = make_writer()
        writer.append(line("new"))
        wait_for(lambda: not (tmp_path / "log/dt=2020-01-01").exists())
        assert texts(writer.directory) == ["open", "new"]


def test_threads_share_a_writer_without_mixing_lines(make_writer: MakeWriter) -> None:
    writer = make_writer(segment_bytes=4096)

    def write(thread: int) -> None:
        for number in range(200):
            writer.append(line(f"{thread}-{number}") + line(f"{thread}-{number}b"), count=2)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = texts(writer.directory)
    assert len(written) == len(set(written)) == 1600
    assert all(written[at + 1] == written[at] + "b" for at in range(0, 1600, 2))


def test_the_reader_skips_torn_lines_and_counts_them(tmp_path: Path) -> None:
    day = tmp_path / "dt=2026-11-23"
    day.mkdir()
    (day / "1.jsonl").write_bytes(line("a") + line("b")[:-5])
    (day / "2.jsonl").write_bytes(line("c"))
    reader = SegmentReader(tmp_path, Line)
    assert [item.text for item in reader] == ["a", "c"]
    assert reader.torn_lines == 1


def test_the_reader_can_start_at_a_day(tmp_path: Path) -> None:
    for day in ("2026-11-21", "2026-11-22", "2026-11-23"):
        (tmp_path / f"dt={day}").mkdir()
        (tmp_path / f"dt={day}" / "1.jsonl").write_bytes(line(day))
    reader = SegmentReader(tmp_path, Line, since=datetime(2026, 11, 22, tzinfo=UTC).date())
    assert [item.text for item in reader] == ["2026-11-22", "2026-11-23"]


def test_a_log_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    assert list(SegmentReader(tmp_path / "none", LoggedLabel)) == []


def test_prediction_ids_are_version_7_uuids_ordered_by_time() -> None:
    ids = prediction_ids(500) + prediction_ids(500)
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
    for text in ids:
        identifier = UUID(text)
        assert str(identifier) == text
        assert (identifier.version, identifier.variant) == (7, "specified in RFC 4122")
        assert msgspec.convert(text, PredictionId) == text
    milliseconds = int(ids[0].replace("-", "")[:12], 16)
    assert abs(milliseconds / 1000 - time.time()) < 60
