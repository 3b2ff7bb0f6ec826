"""Labels are joined with the predictions they speak of; the last one holds."""

from pathlib import Path

import pytest

from flask_app.drift.labels import Labelled, read_labelled
from flask_app.errors import JobError
from flask_app.log.reader import Span
from flask_app.log.segment import LABELS
from tests.traffic import NOW, VERSION, label, prediction, prediction_id, write, write_labels

HOUR = 3600.0
WEEK = Span(round((NOW - 168 * HOUR) * 1000), round((NOW + 300) * 1000))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "predictions"


def labelled(log: Path, *, limit: int = 1000) -> Labelled:
    return read_labelled(log, VERSION, WEEK, limit)


def test_without_labels_nothing_is_known(log: Path) -> None:
    assert labelled(log) == Labelled()
    write(log, [prediction(NOW)])
    assert labelled(log) == Labelled()
    assert labelled(log).coverage == 0


def test_labels_are_joined_with_predictions_by_id(log: Path) -> None:
    write(log, [prediction(NOW - 10 * HOUR, number, prediction=number % 2) for number in range(8)])
    ids = [prediction_id(NOW - 10 * HOUR, number) for number in (1, 4, 5)]
    write_labels(log, [label(ids[0], True, NOW), label(ids[1], True, NOW)])
    write_labels(log, [label(ids[2], False, NOW - 9 * HOUR)])
    assert labelled(log) == Labelled(
        labels=[True, True, False],
        predictions=[True, False, True],
        weights=[1, 1, 1],
        delays=[10 * HOUR, 10 * HOUR, HOUR],
        made=8,
    )
    assert labelled(log).coverage == 3 / 8


def test_the_last_label_holds_wherever_it_was_written(log: Path) -> None:
    write(log, [prediction(NOW - HOUR)])
    identifier = prediction_id(NOW - HOUR)
    write_labels(log, [label(identifier, True, NOW - 60)])
    write_labels(log, [label(identifier, False, NOW - 120)])
    found = labelled(log)
    assert found.labels == [True]
    assert found.delays == [HOUR - 120]
    write_labels(log, [label(identifier, False, NOW)])
    found = labelled(log)
    assert found.labels == [False]
    assert found.delays == [HOUR - 120]


def test_a_label_that_was_taken_back_is_none(log: Path) -> None:
    write(log, [prediction(NOW - HOUR)])
    identifier = prediction_id(NOW - HOUR)
    write_labels(log, [label(identifier, True, NOW - 60), label(identifier, None, NOW - 30)])
    found = labelled(log)
    assert (found.labels, found.unknown) == ([], 0)
    write_labels(log, [label(identifier, False, NOW)])
    assert labelled(log).labels == [False]


def test_the_last_label_says_for_how_many_it_stands(log: Path) -> None:
    write(log, [prediction(NOW - HOUR, number) for number in range(2)])
    drawn, corrected = (prediction_id(NOW - HOUR, number) for number in range(2))
    write_labels(log, [label(drawn, False, NOW - 60, weight=100)])
    write_labels(log, [label(corrected, False, NOW - 60, weight=100), label(corrected, True, NOW)])
    assert labelled(log).weights == [100, 1]


def test_sending_labels_again_changes_nothing(log: Path) -> None:
    write(log, [prediction(NOW - HOUR, number) for number in range(4)])
    labels = [label(prediction_id(NOW - HOUR, number), number == 2, NOW) for number in range(3)]
    write_labels(log, labels)
    once = labelled(log)
    write_labels(log, labels)
    assert labelled(log) == once


def test_labels_of_predictions_that_are_not_in_the_log_are_counted(log: Path) -> None:
    write(log, [prediction(NOW - HOUR)])
    times = NOW - HOUR, NOW - HOUR + 1, NOW - 2 * HOUR
    write_labels(log, [label(prediction_id(time), True, NOW) for time in times])
    found = labelled(log)
    assert (found.labels, found.unknown) == ([True], 2)


def test_labels_of_another_models_predictions_are_neither_used_nor_unknown(log: Path) -> None:
    write(log, [prediction(NOW - HOUR, 1), prediction(NOW - HOUR, 2, model_version="other-0")])
    write_labels(log, [label(prediction_id(NOW - HOUR, 2), True, NOW)])
    assert labelled(log) == Labelled(made=1)


def test_labels_of_predictions_beyond_the_hours_are_left_out(log: Path) -> None:
    write(log, [prediction(NOW - hours * HOUR) for hours in (200, 100)], at=NOW - 200 * HOUR)
    write(log, [prediction(NOW - 100 * HOUR, 7)], at=NOW - 100 * HOUR)
    ids = [prediction_id(NOW - 200 * HOUR), prediction_id(NOW - 100 * HOUR, 7)]
    write_labels(log, [label(identifier, True, NOW) for identifier in ids])
    found = labelled(log)
    assert (found.labels, found.made, found.unknown) == ([True], 1, 0)


@pytest.mark.parametrize("limit", [1, 3, 10, 39, 40, 100])
def test_of_too_many_labels_the_latest_predictions_count(log: Path, limit: int) -> None:
    times = [NOW - number for number in range(40, 0, -1)]
    write(log, [prediction(time, number) for time in times for number in range(2)])
    for first in (20, 0):  # older ones arrive later
        labels = [label(prediction_id(time), True, NOW) for time in times[first : first + 20]]
        write_labels(log, labels)
    found = labelled(log, limit=limit)
    assert len(found.labels) == min(limit, 40)
    assert found.unknown == 0
    # The share is that of the time which is left, or of all the hours.
    assert found.made == 2 * min(limit, 40)


def test_a_clock_that_went_back_makes_no_delay_negative(log: Path) -> None:
    write(log, [prediction(NOW)])
    write_labels(log, [label(prediction_id(NOW), True, NOW - 60)])
    assert labelled(log).delays == [0]


def test_half_written_labels_are_skipped_and_counted(log: Path) -> None:
    write(log, [prediction(NOW)])
    segment = write_labels(log, [label(prediction_id(NOW), True, NOW)] * 2)
    segment.write_bytes(segment.read_bytes()[:-9] + b"\n{}\n")
    found = labelled(log)
    assert (found.labels, found.torn_lines) == ([True], 2)


def test_a_damaged_prediction_is_not_judged(log: Path) -> None:
    segment = write(log, [prediction(NOW, number) for number in range(2)])
    segment.write_bytes(segment.read_bytes().replace(b'"prediction":0', b'"prediction":2', 1))
    write_labels(log, [label(prediction_id(NOW, number), True, NOW) for number in range(2)])
    found = labelled(log)
    assert (found.labels, found.unknown) == ([True], 0)


def test_labels_that_cannot_be_read_are_not_missing(log: Path) -> None:
    log.mkdir()
    (log / LABELS).touch()
    with pytest.raises(JobError, match="cannot be read"):
        labelled(log)
