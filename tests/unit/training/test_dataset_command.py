"""`dataset`: labelled predictions become a file that `train` takes."""

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

    def make(self) -> int:
        return main(["dataset", "--output", str(self.output)])

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
    assert "1 records lack a feature and are left out" in capsys.readouterr().out


def test_without_labels_of_both_kinds_nothing_is_written(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    line = log.predict(1, "a1")
    write(log.directory, [line])
    write_labels(log.directory, [label(line.prediction_id, True, NOW)])

    assert log.make() == 1
    assert "1 records are labelled shill and 0 honest: send labels" in capsys.readouterr().err
    assert not log.output.exists()
