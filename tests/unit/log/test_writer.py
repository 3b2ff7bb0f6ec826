"""The prediction log keeps every accepted line once, whatever disk and processes do."""

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flask_app.log.retention import Retention
from flask_app.log.segment import is_open, list_segments
from flask_app.log.writer import SegmentWriter
from tests.limits import largest_file
from tests.traffic import LogReader


class Line(msgspec.Struct):
    text: str


def line(text: str) -> bytes:
    return msgspec.json.encode(Line(text)) + b"\n"


def texts(directory: Path) -> list[str]:
    return [item.text for item in LogReader(directory, Line)]


@pytest.fixture
def dropped() -> list[int]:
    return []


MakeWriter = Callable[..., SegmentWriter]


@pytest.fixture
def make_writer(tmp_path: Path, dropped: list[int]) -> Iterator[MakeWriter]:
    writers = []

    def make(**changes: Any) -> SegmentWriter:
        arguments = {
            "segment_bytes": 1 << 20,
            "segment_seconds": 3600.0,
            "fsync_seconds": 0.01,
            "on_drop": dropped.append,
        } | changes
        writer = SegmentWriter(tmp_path / "log", **arguments)
        writer.start()
        writers.append(writer)
        return writer

    yield make
    for writer in writers:
        writer.close()


def total_bytes(directory: Path) -> int:
    total = 0
    for segment in list_segments(directory):
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
    (segment,) = list_segments(writer.directory)
    assert segment.parent.name == f"dt={datetime.now(UTC).date().isoformat()}"


def test_an_open_segment_is_locked_and_a_closed_one_is_not(make_writer: MakeWriter) -> None:
    writer = make_writer()
    writer.append(line("a"))
    (segment,) = list_segments(writer.directory)
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
        visible_at_lock.extend(list_segments(writer.directory))
        original(fd, operation)

    original = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", spy)
    writer.append(line("a"))
    monkeypatch.undo()
    assert visible_at_lock == []
    assert len(list_segments(writer.directory)) == 1


WRITE_ONE_LINE = """
import sys, time
from pathlib import Path
from flask_app.log.writer import SegmentWriter

log = SegmentWriter(Path(sys.argv[1]), segment_bytes=1 << 20, segment_seconds=60, fsync_seconds=60)
log.start()
log.append(b'{"text":"acknowledged"}\\n')
print("acknowledged", flush=True)
time.sleep(60)
"""


def test_a_killed_writers_segment_counts_as_closed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_ONE_LINE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"acknowledged\n"
        (segment,) = list_segments(tmp_path)
        assert is_open(segment)
        writer.kill()
    assert not is_open(segment)
    assert texts(tmp_path) == ["acknowledged"]


def test_a_segment_is_closed_when_it_is_full(make_writer: MakeWriter) -> None:
    writer = make_writer(segment_bytes=4096)
    for number in range(1000):
        writer.append(line(f"{number:04}"))
    sizes = [segment.stat().st_size for segment in list_segments(writer.directory)]
    assert len(sizes) > 3
    assert max(sizes) <= 4096
    assert texts(writer.directory) == [f"{number:04}" for number in range(1000)]
    wait_for(lambda: sum(map(is_open, list_segments(writer.directory))) == 1)


def test_an_idle_segment_is_closed_when_it_is_old(make_writer: MakeWriter) -> None:
    writer = make_writer(segment_seconds=0.05)
    writer.append(line("a"))
    (segment,) = list_segments(writer.directory)
    wait_for(lambda: not is_open(segment))


def test_a_segment_ends_with_its_day(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC).timestamp()
    now = midnight - 0.001
    monkeypatch.setattr(time, "time", lambda: now)
    writer = make_writer(fsync_seconds=3600)
    writer.append(line("before"))
    now = midnight
    writer.append(line("after"))
    days = [segment.parent.name for segment in list_segments(writer.directory)]
    assert days == ["dt=2026-11-23", "dt=2026-11-24"]


def test_an_empty_segment_leaves_nothing_behind(make_writer: MakeWriter) -> None:
    writer = make_writer()
    assert writer.check()
    assert len(list_segments(writer.directory)) == 1
    writer.close()
    assert list_segments(writer.directory) == []


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
    reader = LogReader(writer.directory, Line)
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
        patch.setattr(os, "ftruncate", refuse)
        assert not writer.append(line("x" * 20))
    writer.append(line("after"))
    reader = LogReader(writer.directory, Line)
    assert [item.text for item in reader] == ["before", "after"]
    assert reader.torn_lines == 1
    assert len(list_segments(writer.directory)) == 2


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
    (segment,) = list_segments(writer.directory)
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    writer.append(line("a"), durable=True)
    assert segment.stat().st_size in synced


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
    monkeypatch.setattr(os, "fsync", fsync)
    writer.append(line("a"))
    assert synced.wait(10)


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


def slow(fsync: Callable[[int], None]) -> Callable[[int], None]:
    def wait(fd: int) -> None:
        assert threading.current_thread().name == "log-timer", "a request waits for the disk"
        fsync(fd)

    return wait


def test_no_request_waits_for_the_disk_though_segments_come_and_go(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", slow(os.fsync))
    writer = make_writer(segment_bytes=4096)
    for number in range(1000):
        assert writer.append(line(f"{number:04}"))
    assert len(list_segments(writer.directory)) > 3
    wait_for(lambda: sum(map(is_open, list_segments(writer.directory))) == 1)
    monkeypatch.undo()


def test_the_next_segment_is_open_before_the_old_one_is_full(make_writer: MakeWriter) -> None:
    writer = make_writer(segment_bytes=4096)
    writer.append(b"x" * 3600 + b"\n")
    (full,) = list_segments(writer.directory)
    wait_for(lambda: not is_open(full))
    _, successor = list_segments(writer.directory)
    assert is_open(successor)
    assert successor.stat().st_size == 0
    writer.append(line("next"))
    assert successor.read_bytes() == line("next")


def test_lines_that_cannot_be_forced_to_disk_are_counted_and_tried_again(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[int] = []
    attempts: list[int] = []

    def fail(fd: int) -> None:
        attempts.append(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    writer = make_writer(on_sync_failure=lambda: failures.append(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        assert writer.append(line("a"))
        wait_for(lambda: len(failures) >= 3)
        assert writer.sync_failure is not None
        assert writer.failure is None, "the line itself is written"
    wait_for(lambda: writer.sync_failure is None)
    assert len(attempts) >= 3
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_one_segment_that_cannot_be_closed_holds_up_no_other(
    make_writer: MakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[int] = []
    writer = make_writer(
        segment_bytes=4096, fsync_seconds=0.2, on_sync_failure=lambda: failures.append(1)
    )
    original, refused = os.fsync, []

    def fail_once(fd: int) -> None:
        if not refused and os.fstat(fd).st_size > 0 and not Path(f"/proc/self/fd/{fd}").is_dir():
            refused.append(fd)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        original(fd)

    monkeypatch.setattr(os, "fsync", fail_once)
    for number in range(1000):
        writer.append(line(f"{number:04}"))
    wait_for(lambda: sum(map(is_open, list_segments(writer.directory))) == 1)
    assert (len(refused), len(failures)) == (1, 1)


def test_retention_is_swept_at_the_start_and_after_a_segment_was_closed(
    make_writer: MakeWriter, tmp_path: Path
) -> None:
    retention = Retention(tmp_path / "log", max_bytes=20_000, max_age_seconds=3600)
    writer = make_writer(segment_bytes=4096, retention=retention)
    for number in range(5000):
        writer.append(line(f"{number:04}"))
    wait_for(lambda: total_bytes(writer.directory) <= 20_000)
    kept = texts(writer.directory)
    assert kept == [f"{number:04}" for number in range(5000)][-len(kept) :]
    assert len(kept) > 500
