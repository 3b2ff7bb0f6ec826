"""The readers see what the log holds, torn lines and large batches included."""

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from flask_app.archive.query import connect
from flask_app.archive.segments import PREDICTIONS, convert
from flask_app.drift.window import read_window
from flask_app.log.reader import Span, SpanReader
from flask_app.log.segment import list_segments
from tests.traffic import NOW, VERSION, prediction, write

WHOLE = msgspec.json.encode(prediction(NOW))
PAST = WHOLE.replace(b'"bidding_ratio":0.5,', b'"then":{"so":"called"},')
TORN = {
    "cut off": WHOLE[:-30],
    "cut off in front": WHOLE[30:],
    "nothing but zeros": bytes(len(WHOLE)),
    "two in one": WHOLE[:-40] + WHOLE,
    "not even JSON inside": WHOLE.replace(b'"record":', b'"record"'),
    "no such line": b'{"prediction_id":"019ab2f3-6b52-7f24-8b0d-4fd6b1c00000"}',
    "empty": b"",
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
def test_all_readers_agree_which_lines_are_torn(tmp_path: Path, torn: bytes) -> None:
    segment = write(tmp_path, [prediction(NOW)])
    segment.write_bytes(b"\n".join([WHOLE, torn, PAST, b""]))

    window = read_window(tmp_path, VERSION, Span(0, round(NOW * 1000)), limit=10)
    archived = convert(segment, PREDICTIONS)
    with connect(tmp_path, "") as database:
        queried = database.execute("SELECT bidding_ratio FROM predictions").fetchall()

    assert (len(window.rows), window.torn_lines) == (2, 1)
    assert (archived.rows, archived.torn) == (2, torn + b"\n")
    assert queried == [(0.5,), (None,)]


def test_segments_can_be_listed_from_a_day_on(tmp_path: Path) -> None:
    for day in ("2026-11-21", "2026-11-22", "2026-11-23"):
        (tmp_path / f"dt={day}").mkdir()
        (tmp_path / f"dt={day}" / "1.jsonl").touch()
    since = datetime(2026, 11, 22, tzinfo=UTC).date()
    days = [segment.parent.name for segment in list_segments(tmp_path, since=since)]
    assert days == ["dt=2026-11-22", "dt=2026-11-23"]


def test_a_segment_whose_last_line_is_old_is_not_passed_over(tmp_path: Path) -> None:
    """A large batch has its ids before it appends: later lines can be older."""
    segment = write(tmp_path, [prediction(NOW), prediction(NOW - 7200)])
    os.utime(segment, (NOW, NOW))
    span = Span(round((NOW - 3600) * 1000), round(NOW * 1000))
    assert list(SpanReader(tmp_path, span).newest_first()) == [segment]


def test_a_segment_last_written_before_the_span_is_passed_over(tmp_path: Path) -> None:
    segment = write(tmp_path, [prediction(NOW - 7200)], at=NOW - 7200)
    os.utime(segment, (NOW - 7200, NOW - 7200))
    span = Span(round((NOW - 3600) * 1000), round(NOW * 1000))
    assert list(SpanReader(tmp_path, span).newest_first()) == []
