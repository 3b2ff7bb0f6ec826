"""What a segment says is what its Parquet file says, in columns that keep their types."""

import io
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flask_app.archive import segments
from flask_app.archive.segments import KINDS, LABELS, PREDICTIONS, Converted, convert
from flask_app.log.ids import prediction_ids
from flask_app.record import FEATURES, SCHEMA_ID, Record
from tests.unit.archive.conftest import Host, prediction


def table(converted: Converted) -> pa.Table:
    return pq.read_table(io.BytesIO(converted.content))


def test_a_prediction_becomes_a_flat_row(host: Host) -> None:
    values = {name: (number + 1) / 10 for number, name in enumerate(FEATURES)}
    at = datetime(2026, 11, 23, 12, 30, 0, 123456, tzinfo=UTC)
    record = Record(auction_id="732", bidder_id="a***b", **values)
    segment = host.segment(1, at=at, record=record, probability=1 / 3, prediction=1)

    (row,) = table(convert(segment, PREDICTIONS)).to_pylist()

    assert row == {
        "prediction_id": host.acknowledged[0],
        "at": at.replace(tzinfo=None),
        "model_version": "tests-000000000000",
        "auction_id": "732",
        "bidder_id": "a***b",
        **values,
        "probability": 1 / 3,
        "prediction": 1,
        "threshold": 0.5,
    }


def test_a_bidder_who_is_not_named_is_null(host: Host) -> None:
    (row,) = table(convert(host.segment(1), PREDICTIONS)).to_pylist()

    assert row["bidder_id"] is None


def test_a_label_becomes_a_row_with_its_times_in_utc(host: Host) -> None:
    (identifier,) = prediction_ids(1)
    noon = datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=2)))
    segment = host.label([identifier], labelled_at=noon, at=noon)

    (row,) = table(convert(segment, LABELS)).to_pylist()

    ten = noon.astimezone(UTC).replace(tzinfo=None)
    told = {"prediction_id": identifier, "is_shill": True, "labelled_at": ten, "at": ten}
    assert row == told | dict.fromkeys(("skipped", "reviewer", "comment", "weight"))


@pytest.mark.parametrize("rows", [1, 2, 5, 6])
def test_every_line_is_there_in_its_order_whatever_the_groups(
    host: Host, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "ROWS_A_GROUP", 2)
    converted = convert(host.segment(rows), PREDICTIONS)

    assert converted.rows == rows
    assert table(converted)["prediction_id"].to_pylist() == host.acknowledged


def test_the_same_segment_gives_the_same_bytes(host: Host) -> None:
    segment = host.segment(100)

    assert convert(segment, PREDICTIONS) == convert(segment, PREDICTIONS)


def test_the_file_names_the_schema_of_its_lines(host: Host) -> None:
    segment = host.segment(1)
    earlier = segment.rename(segment.with_name("019ab2f3-6b52-7f24-8b0d-4fd6b1c00000.jsonl"))
    for path, schema in ((host.segment(1), SCHEMA_ID), (earlier, "")):
        content = io.BytesIO(convert(path, PREDICTIONS).content)
        assert pq.read_metadata(content).metadata[b"record_schema"].decode() == schema


def test_lines_that_are_no_predictions_are_kept_as_they_are(host: Host) -> None:
    segment = host.segment(2)
    impossible = msgspec.json.encode(prediction(prediction_ids(1)[0], probability=1.5)) + b"\n"
    half = msgspec.json.encode(prediction(prediction_ids(1)[0]))[:100]
    with segment.open("ab") as file:
        file.write(impossible + half)

    converted = convert(segment, PREDICTIONS)

    assert (converted.rows, converted.torn_lines) == (2, 2)
    assert converted.torn == impossible + half
    assert table(converted)["prediction_id"].to_pylist() == host.acknowledged


def test_a_segment_without_a_whole_line_gives_an_empty_table_of_the_same_columns(
    host: Host,
) -> None:
    segment = host.segment(1)
    segment.write_bytes(b"{")

    converted = convert(segment, PREDICTIONS)

    assert converted.rows == 0
    assert table(converted).schema == PREDICTIONS.schema


def test_a_log_that_is_not_there_has_no_segments(tmp_path: Path) -> None:
    assert PREDICTIONS.segments(tmp_path / "absent") == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_column_is_nested(kind: segments.Kind) -> None:
    assert not any(pa.types.is_nested(field.type) for field in kind.schema)
