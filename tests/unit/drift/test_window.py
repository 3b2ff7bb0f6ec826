"""The window holds the latest predictions of one model, whatever else the log holds."""

import fcntl
from pathlib import Path

import numpy as np
import pytest

from flask_app.drift.window import ROW, Rows, Window, draw_auctions, read_window
from flask_app.errors import JobError
from flask_app.log.reader import Span, SpanReader
from flask_app.record import FEATURES
from tests.traffic import NOW, VERSION, prediction, write

HOUR = 3600.0
DAY = Span(round((NOW - 24 * HOUR) * 1000), round((NOW + 300) * 1000))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def window(log: Path, *, rows: int = 10_000, span: Span = DAY) -> Window:
    return read_window(log, VERSION, span, rows)


def ages(found: Window) -> list[float]:
    """How long before NOW each row was made, s."""
    return [round(NOW - made / 1000, 3) for made in found.rows["made_at"].tolist()]


def test_a_row_has_the_values_that_the_model_was_given(log: Path) -> None:
    values = dict(zip(FEATURES, np.linspace(0.1, 0.9, len(FEATURES)).tolist(), strict=True))
    write(log, [prediction(NOW, probability=0.75, **values)])
    (row,) = window(log).rows
    assert row["probability"] == 0.75
    assert row["features"].tolist() == np.float32(list(values.values())).tolist()


@pytest.mark.parametrize("exists", [True, False])
def test_no_traffic_yet_is_an_empty_window(log: Path, exists: bool) -> None:
    if exists:
        log.mkdir()
    found = window(log)
    assert (len(found.rows), found.torn_lines, found.future_lines) == (0, 0, 0)
    assert found.made_at(0) is None


def test_rows_of_interleaved_segments_are_ordered_by_the_time_of_prediction(log: Path) -> None:
    write(log, [prediction(NOW - age) for age in (50, 30, 10)], at=NOW - 50)
    write(log, [prediction(NOW - age) for age in (40, 20)], at=NOW - 40)
    assert ages(window(log)) == [50, 40, 30, 20, 10]


@pytest.mark.parametrize("limit", [1, 7, 100, 5_000, 9_999])
def test_the_latest_rows_are_taken_though_a_longer_segment_was_opened_earlier(
    log: Path, limit: int
) -> None:
    write(log, (prediction(NOW - age) for age in range(20_000, 0, -2)), at=NOW - 20_000)
    write(log, (prediction(NOW - age) for age in range(9_999, 5_000, -2)), at=NOW - 9_999)
    latest = sorted([*range(20_000, 0, -2), *range(9_999, 5_000, -2)], reverse=True)[-limit:]
    assert ages(window(log, rows=limit)) == latest


def test_rows_beyond_the_hours_and_of_other_models_are_not_of_the_window(log: Path) -> None:
    write(log, [prediction(NOW - age * HOUR) for age in (30, 25, 23)], at=NOW - 30 * HOUR)
    write(log, [prediction(NOW, model_version="other-0123456789ab")])
    assert ages(window(log)) == [23 * HOUR]


def test_a_half_written_line_is_skipped_and_counted(log: Path) -> None:
    segment = write(log, [prediction(NOW - 2), prediction(NOW - 1)])
    content = segment.read_bytes()
    for size in range(len(content) - 1, content.index(b"\n") + 1, -1):
        segment.write_bytes(content[:size])
        found = window(log)
        # Only the newline is missing of the longest.
        torn = size < len(content) - 1
        assert (ages(found), found.torn_lines) == ([2, 1][: 2 - torn], int(torn))


def test_a_line_that_its_writer_is_just_finishing_is_not_torn(log: Path) -> None:
    segment = write(log, [prediction(NOW - 2), prediction(NOW - 1)])
    segment.write_bytes(segment.read_bytes()[:-20])
    with segment.open("rb") as open_segment:
        fcntl.flock(open_segment, fcntl.LOCK_EX)
        assert window(log).torn_lines == 0
    assert window(log).torn_lines == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 300,
        b"\xff\xfe\n",
        b"{}\n",
        b"[]\n",
        b"\n",
        b'{"prediction_id":"}\n',
        b'{"prediction_id":"zzzzzzzz-zzzz-7000-8000-000000000000"}\n',
        b'{"prediction_id":"01a20c00-0000-7000-8000-000000000000","model_version":1}\n',
        b'{"prediction_id":"01a20c00-0000-7000-8000-000000000000","at":"}\n',
    ],
)
def test_garbage_is_counted_and_hides_nothing_before_it(log: Path, garbage: bytes) -> None:
    segment = write(log, [prediction(NOW - 2), prediction(NOW - 1)])
    with segment.open("ab") as file:
        file.write(garbage)
    found = window(log, span=DAY._replace(end=1 << 48))
    assert ages(found) == [2, 1]
    assert found.torn_lines + found.future_lines == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"probability":0.25', b'"probability":null'),
        (b'"bidding_ratio":0.5', b'"bidding_ratio":"high"'),
        (b'"bidding_ratio":0.5,', b""),
        (b'"winning_ratio":0.5', b'"winning_ratio":1e999'),
        (b'"auction_id":"1"', b'"auction_id":1'),
    ],
)
def test_a_missing_value_is_a_row_without_values(log: Path, old: bytes, new: bytes) -> None:
    segment = write(log, [prediction(NOW - 2), prediction(NOW - 1, model_version="other-0")])
    changed = segment.read_bytes().replace(old, new)
    assert changed != segment.read_bytes()
    segment.write_bytes(changed)
    found = window(log)
    assert ages(found) == [2]
    assert np.isnan(found.rows["features"]).all()
    assert found.torn_lines == 0


def test_rows_from_the_future_are_left_out_and_counted(log: Path) -> None:
    write(log, [prediction(NOW + seconds) for seconds in (-1, 299, 301, 1e6)])
    found = window(log)
    assert ages(found) == [1, -299]
    assert found.future_lines == 2


def test_rows_are_found_after_the_clock_of_their_server_went_back(log: Path) -> None:
    write(log, [prediction(NOW - age) for age in (100, -5_000, 50)], at=NOW + 5_000)
    write(log, [prediction(NOW - age) for age in (80, 60)], at=NOW - 80)
    found = window(log)
    assert (ages(found), found.future_lines) == ([100, 80, 60, 50], 1)


def test_a_log_that_cannot_be_read_is_no_empty_one(log: Path) -> None:
    log.touch()
    with pytest.raises(JobError, match="cannot be read"):
        window(log)
    log.unlink()
    write(log, [prediction(NOW)]).with_name("00000000-0000-7000-8000-000000000000.jsonl").mkdir()
    with pytest.raises(JobError, match="cannot be read"):
        window(log)


def test_a_segment_may_vanish_while_the_log_is_read(log: Path) -> None:
    write(log, [prediction(NOW - 2)])
    reader = SpanReader(log, DAY)
    (segment,) = reader.newest_first()
    segment.unlink()
    assert list(reader.lines(segment)) == []
    assert list(reader.newest_first()) == []


def rows_of(sizes: list[int]) -> Rows:
    """Rows of auctions of `sizes`, mixed."""
    rows = np.zeros(sum(sizes), ROW)
    rows["made_at"] = range(len(rows))
    rows["auction"] = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return rows


def test_few_rows_are_all_drawn() -> None:
    rows = rows_of([3, 4])
    assert draw_auctions(rows, 7) is rows


def test_auctions_are_drawn_whole_in_their_order_of_time() -> None:
    sizes = [3, 4, 1, 5, 2]
    rows = rows_of(sizes)
    for limit in range(3, 15):
        drawn = draw_auctions(rows, limit)
        auctions, counts = np.unique(drawn["auction"], return_counts=True)
        assert counts.tolist() == [sizes[auction] for auction in auctions]
        assert limit - max(sizes) < len(drawn) <= limit
        assert (np.diff(drawn["made_at"]) > 0).all()


def test_one_auction_too_large_is_cut_to_its_latest_rows() -> None:
    assert draw_auctions(rows_of([9]), 4)["made_at"].tolist() == [5, 6, 7, 8]


def test_which_auctions_are_drawn_depends_on_their_ids_alone(log: Path) -> None:
    write(log, [prediction(NOW - age, auction_id=str(age // 4)) for age in range(400, 0, -1)])
    rows = window(log).rows
    drawn, again = draw_auctions(rows, 100), draw_auctions(rows[:-8], 100)
    kept = np.intersect1d(drawn["auction"], again["auction"])
    assert len(kept) >= len(np.unique(drawn["auction"])) - 2
    assert not set(drawn["made_at"]) <= set(rows["made_at"][-100:])
