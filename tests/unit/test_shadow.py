"""A candidate is asked for what production scores, and what differs is found."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from roles.model_server.files.shadow import Comparison, Log, Refused


def line(probability: float, name: str = "id", **record: object) -> dict[str, Any]:
    """A line of the prediction log."""
    return {
        "prediction_id": name,
        "probability": probability,
        "prediction": int(probability >= 0.5),
        "record": record,
    }


def candidate(probability: float, *refuses: str) -> Any:
    """What gives every record the same probability, and refuses a request with some."""

    def ask(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if any(one["record"].get("auction_id") in refuses for one in lines):
            raise Refused("422 auction_id is bad")
        return [{"probability": probability, "prediction": int(probability >= 0.5)}] * len(lines)

    return ask


def test_it_is_asked_for_what_is_added_and_for_no_half_line(tmp_path: Path) -> None:
    segment = tmp_path / "dt=2026-12-01" / "one.jsonl"
    segment.parent.mkdir()
    segment.write_text('{"n":1}\n')
    log = Log(tmp_path)
    with segment.open("a") as file:
        file.write('{"n":2}\n{"n":')
    other = segment.with_name("other.jsonl")
    other.write_text('{"n":4}\n')
    assert list(log.added()) == [{"n": 2}, {"n": 4}]

    with segment.open("a") as file:
        file.write("3}\n")
    other.unlink()
    assert list(log.added()) == [{"n": 3}]
    assert list(log.added()) == []


def test_it_tells_how_the_predictions_differ_and_writes_each_pair() -> None:
    pairs = io.StringIO()
    comparison = Comparison(candidate(0.6), pairs)
    comparison.add([line(0.2, "a"), line(0.7, "b")])
    assert comparison.summary(2) == {
        "fault": "",
        "predictions": 2,
        "refused": 0,
        "flagged": 1,
        "flagged_by_candidate": 2,
        "other_verdicts": 1,
        "mean_difference": 0.25,
        "largest_difference": 0.4,
    }
    assert [json.loads(pair)["prediction_id"] for pair in pairs.getvalue().splitlines()] == [
        "a",
        "b",
    ]


def test_one_refused_record_is_told_and_the_others_are_compared() -> None:
    comparison = Comparison(candidate(0.6, "bad"), io.StringIO())
    comparison.add([line(0.6, auction_id="good"), line(0.6, auction_id="bad"), line(0.6)])
    told = comparison.summary(1)
    assert (told["predictions"], told["refused"]) == (2, 1)
    assert told["fault"] == ("it refuses 1 of 3 records that were scored: 422 auction_id is bad")


@pytest.mark.parametrize(("least", "fault"), [(1, ""), (2, "only 1 of 2 predictions were made")])
def test_too_few_predictions_say_nothing(least: int, fault: str) -> None:
    comparison = Comparison(candidate(0.6), io.StringIO())
    comparison.add([line(0.6)])
    told = comparison.summary(least)["fault"]
    assert told.startswith(fault)
    assert bool(told) == bool(fault)
