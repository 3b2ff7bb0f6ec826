"""`dataset`: labelled predictions become a file that `train` takes."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flask_app.cli import main
from flask_app.data.dataset import read_csv
from flask_app.log.lines import LoggedPrediction
from flask_app.record import FEATURES
from tests.traffic import NOW, label, prediction, write, write_labels


class Log:
    """A host's logs, and the file that is made of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "log"
        self.output = directory / "labelled.csv"

    def predict(self, number: int, auction: str, bidder: str | None = "b1") -> LoggedPrediction:
        """Make a line; its `bidding_ratio` tells it from the others."""
        named = {} if bidder is None else {"bidder_id": bidder}
        ratio = number / 100
        return prediction(NOW, number, auction_id=auction, bidding_ratio=ratio, **named)

    def label(self, lines: list[LoggedPrediction], shill: LoggedPrediction) -> None:
        labels = [label(line.prediction_id, line is shill, NOW) for line in lines]
        write_labels(self.directory, labels)

    def make(self, *options: str) -> int:
        return main(["dataset", "--output", str(self.output), *options])

    def rows(self) -> list[tuple[str, str, float, int]]:
        frame = read_csv(self.output).frame
        columns = ["auction_id", "bidder_id", "bidding_ratio", "is_shill"]
        return [tuple(row) for row in frame[columns].itertuples(index=False)]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log(tmp_path)
    monkeypatch.setenv("SHILL_LOG_DIR", str(log.directory))
    return log


def test_each_labelled_prediction_is_a_record(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [log.predict(1, "a1"), log.predict(2, "a1", "b2"), log.predict(3, "a2")]
    write(log.directory, [*lines, log.predict(4, "a3")])
    log.label(lines, shill=lines[0])

    assert log.make() == 0

    assert log.rows() == [("a1", "b1", 0.01, 1), ("a1", "b2", 0.02, 0), ("a2", "b1", 0.03, 0)]
    assert "3 records of 2 auctions, 33.3% shill" in capsys.readouterr().out
    frame = read_csv(log.output).frame
    assert (frame[[name for name in FEATURES if name != "bidding_ratio"]] == 0.5).all(axis=None)


def test_a_label_that_was_taken_back_is_none(log: Log) -> None:
    lines = [log.predict(1, "a1"), log.predict(2, "a1", "b2"), log.predict(3, "a2")]
    write(log.directory, lines)
    log.label(lines, shill=lines[0])
    write_labels(log.directory, [label(lines[2].prediction_id, None, NOW + 60)])

    assert log.make() == 0

    assert log.rows() == [("a1", "b1", 0.01, 1), ("a1", "b2", 0.02, 0)]


def test_of_several_labels_the_last_holds(log: Log) -> None:
    one, other = log.predict(1, "a1"), log.predict(2, "a2")
    write(log.directory, [one, other])
    write_labels(log.directory, [label(one.prediction_id, True, NOW)])
    later = [label(one.prediction_id, False, NOW + 60), label(other.prediction_id, True, NOW)]
    write_labels(log.directory, later)

    assert log.make() == 0

    assert [row[-1] for row in log.rows()] == [0, 1]


def test_a_bidder_who_was_scored_twice_in_an_auction_is_one_record(log: Log) -> None:
    first, again, other = log.predict(1, "a1"), log.predict(2, "a1"), log.predict(3, "a2")
    write(log.directory, [first, again, other])
    write_labels(log.directory, [label(first.prediction_id, True, NOW)])
    later = [label(again.prediction_id, True, NOW + 1), label(other.prediction_id, False, NOW)]
    write_labels(log.directory, later)

    assert log.make() == 0

    assert log.rows() == [("a1", "b1", 0.02, 1), ("a2", "b1", 0.03, 0)]


def test_a_bidder_without_a_name_has_that_of_the_prediction(log: Log) -> None:
    lines = [log.predict(1, "a1", None), log.predict(2, "a1", None)]
    write(log.directory, lines)
    write_labels(
        log.directory, [label(line.prediction_id, n == 0, NOW) for n, line in enumerate(lines)]
    )

    assert log.make() == 0

    assert [row[1] for row in log.rows()] == [line.prediction_id for line in lines]


def test_the_file_says_for_how_many_a_record_was_drawn_and_who_judged_it(log: Log) -> None:
    drawn, sent = log.predict(1, "a1"), log.predict(2, "a2")
    write(log.directory, [drawn, sent])
    judged = label(drawn.prediction_id, False, NOW, weight=50.0, reviewer="eve")
    write_labels(log.directory, [judged, label(sent.prediction_id, True, NOW)])

    assert log.make() == 0

    assert read_csv(log.output).frame["weight"].tolist() == [50, 1]
    written = csv.DictReader(log.output.read_text().splitlines())
    assert [row["Reviewer"] for row in written] == ["eve", ""]


def test_what_was_predicted_before_a_time_is_left_out(log: Log) -> None:
    old = prediction(NOW - 1, 1, auction_id="a1", bidder_id="b1")
    new = [log.predict(2, "a2"), log.predict(3, "a3")]
    write(log.directory, [old, *new])
    log.label([old, *new], shill=new[0])

    assert log.make("--since", datetime.fromtimestamp(NOW, UTC).isoformat()) == 0

    assert [row[0] for row in log.rows()] == ["a2", "a3"]


@pytest.mark.parametrize("time", ["yesterday", "2026-11-01T00:00:00"])
def test_a_time_without_a_zone_is_refused(
    log: Log, time: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        log.make("--since", time)
    assert "argument --since: " in (said := capsys.readouterr().err)
    assert repr(time) in said


def test_what_was_logged_before_a_feature_was_there_is_left_out_and_said(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [log.predict(n, f"a{n}") for n in range(3)]
    segment = write(log.directory, lines)
    first, *rest = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([first.replace(b'"winning_ratio":0.5,', b""), *rest]))
    write_labels(
        log.directory, [label(line.prediction_id, n == 1, NOW) for n, line in enumerate(lines)]
    )

    assert log.make() == 0

    assert [row[0] for row in log.rows()] == ["a1", "a2"]
    assert "1 records lack a feature and are left out" in capsys.readouterr().err


def test_without_labels_of_both_kinds_nothing_is_written(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    line = log.predict(1, "a1")
    write(log.directory, [line])
    write_labels(log.directory, [label(line.prediction_id, True, NOW)])

    assert log.make() == 1
    assert "1 records are labelled shill and 0 honest: send labels" in capsys.readouterr().err
    assert not log.output.exists()
