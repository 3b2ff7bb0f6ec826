"""A segment is in the archive once, whole, before it is deleted here; nothing ever gets lost."""

import io
import itertools
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flask_app.archive import ship as module
from flask_app.archive.ship import LEDGER
from tests.s3 import BUCKET, S3
from tests.unit.archive.conftest import Host, Ship


def key(segment: Path, kind: str = "predictions") -> str:
    return f"{kind}/{segment.parent.name}/{segment.stem}.parquet"


def archived(s3: S3) -> list[str]:
    """Every prediction in the archive, as often as it is there."""
    tables = [pq.read_table(io.BytesIO(s3.read(name))) for name in s3.objects("predictions/dt=")]
    return sorted(item for table in tables for item in table["prediction_id"].to_pylist())


def test_closed_segments_of_both_logs_are_shipped_by_day(host: Host, ship: Ship, s3: S3) -> None:
    predictions = [host.segment(), host.segment()]
    labels = host.label(host.acknowledged)

    outcome = ship()

    assert (outcome.shipped, outcome.pending, outcome.failures) == (3, 0, [])
    assert set(s3.objects()) == {*map(key, predictions), key(labels, "labels")}
    assert archived(s3) == sorted(host.acknowledged)
    assert {path.parent.name for path in predictions} == {f"dt={datetime.now(UTC).date()}"}


def test_an_open_segment_waits_until_it_is_closed(host: Host, ship: Ship, s3: S3) -> None:
    writer = host.writer()
    host.predict(writer)
    assert ship().shipped == 0

    writer.close()

    assert ship().shipped == 1
    assert archived(s3) == sorted(host.acknowledged)


def test_a_second_run_ships_nothing_and_asks_nothing(host: Host, ship: Ship, s3: S3) -> None:
    host.segment()
    ship()
    requests = s3.requests

    outcome = ship()

    assert (outcome.shipped, outcome.pending) == (0, 0)
    assert s3.requests == requests


def test_a_run_that_knows_nothing_of_the_one_before_finds_its_objects(
    host: Host, ship: Ship, s3: S3
) -> None:
    host.segment()
    ship()
    before = s3.objects()
    (host.log_dir / LEDGER).unlink()

    outcome = ship()

    assert (outcome.shipped, outcome.failures) == (1, [])
    assert s3.objects() == before, "nothing was written again"


def test_an_object_that_another_release_wrote_with_other_bytes_is_as_good(
    host: Host, ship: Ship, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.segment(100)
    ship()
    before = s3.objects()
    (host.log_dir / LEDGER).unlink()
    writer = pq.ParquetWriter
    monkeypatch.setattr(
        "flask_app.archive.segments.pq.ParquetWriter",
        lambda *arguments, **options: writer(*arguments, **options | {"compression": "none"}),
    )

    outcome = ship()

    assert (outcome.shipped, outcome.failures) == (1, [])
    assert s3.objects() == before


def test_shipped_segments_are_deleted_here_when_they_are_old(
    host: Host, ship: Ship, s3: S3
) -> None:
    old, young = host.segment(), host.segment()
    labels = host.label(host.acknowledged)
    assert ship().deleted == 0
    host.age(old, labels)

    outcome = ship()

    assert (outcome.deleted, outcome.failures) == (2, [])
    assert host.segments() == [young]
    assert not labels.exists()
    assert archived(s3) == sorted(host.acknowledged)


def test_an_old_segment_is_shipped_and_deleted_in_one_run(host: Host, ship: Ship, s3: S3) -> None:
    old = host.segment()
    host.age(old)

    outcome = ship()

    assert (outcome.shipped, outcome.deleted) == (1, 1)
    assert not old.parent.exists(), "an empty day leaves nothing behind"
    assert archived(s3) == sorted(host.acknowledged)


@pytest.mark.parametrize("damage", ["truncated", "exchanged", "gone"])
def test_nothing_is_deleted_here_that_is_not_whole_there(
    host: Host, ship: Ship, s3: S3, damage: str
) -> None:
    segment, other = host.segment(), host.segment()
    ship()
    host.age(segment)
    source = other if damage == "exchanged" else segment
    found = s3.client.get_object(Bucket=BUCKET, Key=key(source))
    content, metadata = found["Body"].read(), found["Metadata"]
    s3.delete(key(segment))
    if damage != "gone":
        cut = -1 if damage == "truncated" else None
        s3.write(key(segment), content[:cut], Metadata=metadata)

    outcome = ship()

    assert segment.exists()
    assert (outcome.deleted, outcome.pending) == (0, 1)
    (failure,) = outcome.failures
    assert failure.startswith(f"{segment}: s3://{BUCKET}/{key(segment)} ")

    s3.delete(key(segment))
    outcome = ship()
    assert (outcome.shipped, outcome.deleted, outcome.failures) == (1, 1, [])
    assert archived(s3) == sorted(host.acknowledged)


def test_an_object_of_the_same_name_from_another_segment_is_left_alone(
    host: Host, ship: Ship, s3: S3
) -> None:
    segment = host.segment()
    s3.write(key(segment), b"somebody else's")
    other = host.segment()

    outcome = ship()

    assert (outcome.shipped, outcome.pending) == (1, 1)
    (failure,) = outcome.failures
    assert "was made from another segment of this name" in failure
    assert s3.read(key(segment)) == b"somebody else's"
    assert key(other) in s3.objects()


def test_torn_lines_are_kept_beside_and_counted(host: Host, ship: Ship, s3: S3) -> None:
    segment = host.segment()
    with segment.open("ab") as file:
        file.write(b'{"prediction_id":"half')
    host.age(segment)

    outcome = ship()

    assert (outcome.shipped, outcome.torn_lines, outcome.deleted) == (1, 1, 1)
    assert s3.read(f"predictions/_torn/{segment.name}") == b'{"prediction_id":"half'
    assert archived(s3) == sorted(host.acknowledged)


def test_a_segment_whose_torn_lines_are_gone_is_not_deleted(host: Host, ship: Ship, s3: S3) -> None:
    segment = host.segment()
    with segment.open("ab") as file:
        file.write(b"{")
    ship()
    s3.delete("predictions/_torn/")
    host.age(segment)

    assert ship().deleted == 0
    assert ship().deleted == 1
    assert s3.read(f"predictions/_torn/{segment.name}") == b"{"


def test_a_run_ships_the_oldest_up_to_its_limit(host: Host, ship: Ship, s3: S3) -> None:
    segments = [host.segment() for _ in range(5)]

    outcome = ship(limit=2)

    assert (outcome.shipped, outcome.pending) == (2, 3)
    assert set(s3.objects()) == set(map(key, segments[:2]))
    ship(limit=2)
    assert ship(limit=2).pending == 0
    assert archived(s3) == sorted(host.acknowledged)


def test_without_s3_everything_stays_and_the_run_says_so(host: Host, ship: Ship, s3: S3) -> None:
    segments = [host.segment(), host.segment()]
    host.age(*segments)
    s3.cut = True

    outcome = ship()

    assert outcome.interrupted
    assert (outcome.shipped, outcome.deleted, outcome.pending) == (0, 0, 2)
    (failure,) = outcome.failures
    assert "check the network" in failure
    assert host.segments() == segments

    s3.cut = False
    assert ship().deleted == 2
    assert archived(s3) == sorted(host.acknowledged)


def test_a_shipper_that_dies_at_any_request_loses_and_doubles_nothing(
    host: Host, ship: Ship, s3: S3
) -> None:
    for number in itertools.count(1):
        torn, whole, labels = host.segment(), host.segment(), host.label(host.acknowledged[-3:])
        with torn.open("ab") as file:
            file.write(b"{")
        host.report(f"2026-11-24T{number:02}")
        host.age(torn, whole, labels)
        s3.last = s3.requests + number
        try:
            ship()
        except SystemExit:
            s3.last = 0
        else:
            break
        there = {Path(name).stem for name in s3.objects("predictions/dt=")}
        assert {torn.stem, whole.stem} <= there | {path.stem for path in host.segments()}
        outcome = ship()
        assert (outcome.failures, outcome.pending) == ([], 0)
        assert host.segments() == []
        assert archived(s3) == sorted(host.acknowledged)
    assert number > 10


def test_no_answer_that_is_lost_makes_a_segment_twice_or_not_at_all(
    host: Host, ship: Ship, s3: S3
) -> None:
    for number in itertools.count(1):
        host.age(host.segment())
        lost = s3.requests + number
        s3.answers_to_lose = {lost}
        outcome = ship()
        assert (outcome.shipped, outcome.deleted, outcome.failures) == (1, 1, [])
        if s3.requests < lost:
            break
    s3.answers_to_lose = set()
    assert number > 3
    assert archived(s3) == sorted(host.acknowledged)


@pytest.mark.parametrize("step", ["is_open", "convert"])
def test_a_segment_that_cannot_be_read_is_told_and_holds_up_no_other(
    host: Host, ship: Ship, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = host.segment(), host.segment()
    host.age(first, second)
    original = getattr(module, step)

    def refuse(segment: Path, *arguments: object) -> object:
        if segment == first:
            raise PermissionError("denied")
        return original(segment, *arguments)

    monkeypatch.setattr(module, step, refuse)

    outcome = ship()

    assert (outcome.shipped, outcome.deleted) == (1, 1)
    assert outcome.failures == [f"{first}: denied"]
    assert (first.exists(), second.exists()) == (True, False)


@pytest.mark.parametrize("step", ["is_open", "convert"])
def test_what_retention_deletes_meanwhile_is_no_failure(
    host: Host, ship: Ship, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = host.segment(), host.segment()
    original = getattr(module, step)

    def vanish(segment: Path, *arguments: object) -> object:
        if segment == first:
            segment.unlink()
        return original(segment, *arguments)

    monkeypatch.setattr(module, step, vanish)

    outcome = ship()

    assert (outcome.shipped, outcome.pending, outcome.failures) == (1, 0, [])


def test_neither_open_nor_empty_segments_are_shipped(host: Host, ship: Ship) -> None:
    closed = host.segment()
    writer = host.writer()
    host.predict(writer)
    (closed.parent / "empty.jsonl").touch()

    assert ship().shipped == 1
    writer.close()


def test_another_archive_gets_everything_again(host: Host, ship: Ship, s3: S3) -> None:
    segment = host.segment()
    ship()
    ledger = host.log_dir / LEDGER
    ledger.write_text(ledger.read_text().replace(BUCKET, "elsewhere"))
    s3.delete("predictions/")

    assert ship().shipped == 1
    assert key(segment) in s3.objects()


def test_the_ledger_does_not_grow_with_what_is_gone(host: Host, ship: Ship) -> None:
    for _ in range(3):
        host.age(host.segment())
        ship()
    assert (host.log_dir / LEDGER).read_text() == ""


def test_reports_are_shipped_once_by_host(host: Host, ship: Ship, s3: S3) -> None:
    host.report("2026-11-24T0630")
    host.report("2026-11-24T0700", "summary.json")
    (host.reports_dir / "index.html").write_text("of all")
    (host.reports_dir / ".draft-2026-11-24T0730").mkdir()

    assert ship().reports == 2
    requests = s3.requests
    assert ship().reports == 0
    assert s3.requests == requests
    assert set(s3.objects()) == {
        "reports/one/2026-11-24T0630/report.html",
        "reports/one/2026-11-24T0630/summary.json",
        "reports/one/2026-11-24T0700/summary.json",
    }
    page = s3.client.get_object(Bucket=BUCKET, Key="reports/one/2026-11-24T0630/report.html")
    assert page["ContentType"] == "text/html"
    assert page["Body"].read() == b"report.html of 2026-11-24T0630"


def test_two_hosts_of_one_name_are_told(host: Host, ship: Ship, s3: S3) -> None:
    s3.write("reports/one/2026-11-24T0630/summary.json", b"of another host")
    host.report("2026-11-24T0630")

    outcome = ship()

    assert outcome.reports == 0
    assert "set SHILL_ARCHIVE_HOST" in outcome.failures[0]
