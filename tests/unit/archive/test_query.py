"""Each line counts once, wherever its segment is, and a day that is not asked for is not read."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from flask_app.archive.query import connect
from flask_app.errors import S3Error
from flask_app.record import FEATURES
from tests.s3 import S3
from tests.unit.archive.conftest import Host, Ship

ArchiveCopy = Callable[[], Path]
EACH = "SELECT prediction_id FROM predictions ORDER BY 1"


def ask(host: Host, sql: str, archive: Path | str = "") -> list[tuple[Any, ...]]:
    with connect(host.log_dir, str(archive)) as connection:
        return connection.execute(sql).fetchall()


def ids(host: Host, archive: Path | str = "") -> list[str]:
    return [identifier for (identifier,) in ask(host, EACH, archive)]


def move(segment: Path, day: str) -> Path:
    """Let a segment be of another day."""
    target = segment.parents[1] / f"dt={day}" / segment.name
    target.parent.mkdir(exist_ok=True)
    return segment.rename(target)


def test_nothing_anywhere_is_no_rows_of_known_types(host: Host, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    for archive in ("", tmp_path / "archive"):
        assert ask(host, "SELECT * FROM predictions", archive) == []
        names = ask(host, "SELECT column_name, column_type FROM (DESCRIBE labels)", archive)
        assert dict(names) == {
            "prediction_id": "VARCHAR",
            "is_shill": "BOOLEAN",
            "labelled_at": "TIMESTAMP",
            "at": "TIMESTAMP",
            "skipped": "BOOLEAN",
            "reviewer": "VARCHAR",
            "comment": "VARCHAR",
            "weight": "DOUBLE",
            "dt": "DATE",
        }


def test_open_and_closed_segments_here_are_read(host: Host) -> None:
    host.segment()
    writer = host.writer()
    host.predict(writer)

    assert ids(host) == sorted(host.acknowledged)
    writer.close()


def test_a_line_says_the_same_here_and_there(host: Host, ship: Ship, archive: ArchiveCopy) -> None:
    at = datetime(2026, 11, 23, 12, 30, 0, 123456, tzinfo=UTC)
    segment = host.segment(2, at=at, probability=1 / 3, prediction=1)
    host.label(host.acknowledged[:1], labelled_at=at.astimezone(timezone(timedelta(hours=2))))
    everything = "SELECT * FROM predictions JOIN labels USING (prediction_id)"
    here = ask(host, everything)
    ship()
    copy = archive()
    segment.unlink()

    assert ask(host, everything, copy) == here
    (row,) = ask(host, 'SELECT "at", probability, prediction, dt FROM predictions LIMIT 1', copy)
    assert row == (at.replace(tzinfo=None), 1 / 3, 1, datetime.now(UTC).date())
    (label,) = ask(host, "SELECT labelled_at FROM labels", copy)
    assert label == (at.replace(tzinfo=None),)
    (features,) = ask(host, f"SELECT {', '.join(FEATURES)} FROM predictions LIMIT 1", copy)  # noqa: S608
    assert features == (0.5,) * len(FEATURES)


def test_a_segment_in_both_places_counts_once(host: Host, ship: Ship, archive: ArchiveCopy) -> None:
    old, _both = host.segment(), host.segment()
    ship()
    old.unlink()
    host.segment()

    assert ids(host, archive()) == sorted(host.acknowledged)


def test_torn_lines_are_no_rows(host: Host, ship: Ship, archive: ArchiveCopy) -> None:
    segment = host.segment()
    with segment.open("ab") as file:
        file.write(b'{"prediction_id":"half')
    assert ids(host) == sorted(host.acknowledged)

    ship()

    assert ids(host, archive()) == sorted(host.acknowledged)


@pytest.mark.parametrize("here", [True, False])
def test_days_that_are_not_asked_for_are_not_read(
    host: Host, ship: Ship, archive: ArchiveCopy, here: bool
) -> None:
    unasked = move(host.segment(), "2026-11-22")
    move(host.segment(), "2026-11-23")
    asked = host.acknowledged[3:]
    copy: Path | str = ""
    if here:
        unasked.write_bytes(b"[" * 100)
    else:
        ship()
        copy = archive()
        (copy / f"predictions/dt=2026-11-22/{unasked.stem}.parquet").write_bytes(b"damaged")

    for condition in ("dt = '2026-11-23'", "dt > DATE '2026-11-22'", "dt >= '2026-11-23'"):
        rows = ask(host, f"SELECT prediction_id, dt FROM predictions WHERE {condition}", copy)  # noqa: S608
        assert sorted(rows) == [(item, date(2026, 11, 23)) for item in sorted(asked)]


def test_labels_are_joined_with_their_predictions(host: Host) -> None:
    host.segment(4)
    host.label(host.acknowledged[:2], is_shill=True)
    host.label(host.acknowledged[1:3], is_shill=False)

    counts = ask(
        host,
        """
        SELECT is_shill, count(*) FROM predictions
        JOIN (SELECT prediction_id, arg_max(is_shill, labels."at") AS is_shill
              FROM labels GROUP BY 1) USING (prediction_id)
        GROUP BY 1 ORDER BY 1
        """,
    )

    assert counts == [(False, 2), (True, 1)]


def test_a_view_may_be_used_more_than_once(host: Host, ship: Ship, archive: ArchiveCopy) -> None:
    host.segment()
    ship()
    host.segment()
    twice = "SELECT count(*) FROM predictions a JOIN predictions b USING (prediction_id)"

    assert ask(host, twice, archive()) == [(6,)]


def test_a_path_may_hold_a_quote(tmp_path: Path) -> None:
    host = Host(tmp_path / "o'clock")
    host.segment()

    assert ids(host) == sorted(host.acknowledged)


def test_an_archive_that_does_not_answer_is_an_error_and_not_an_empty_one(
    host: Host, s3: S3
) -> None:
    host.segment()
    s3.cut = True

    with pytest.raises(S3Error, match="cannot be listed"):
        ids(host, "s3://shill-tests")
