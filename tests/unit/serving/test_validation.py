"""Bad bodies are refused for every reason they deserve, good ones decoded whatever their form."""

import contextlib
import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from flask_app.record import DEFAULT_AUCTION_DURATION_DAYS, FEATURES, Record
from flask_app.serving.messages import Feedback
from flask_app.serving.problems import Problem
from flask_app.serving.validation import MAX_ERRORS, BodyDecoder, batch_type, explain

GOOD: dict[str, Any] = {"auction_id": "a"} | dict.fromkeys(FEATURES, 0.5)
DECODER = BodyDecoder(max_batch_rows=50)
BATCH = batch_type(50)


def many(content: bytes, decoder: BodyDecoder = DECODER) -> list[Record]:
    """Decode a batch as the service does; returns its records as the log will say them."""
    try:
        slices = list(decoder.slices(content))
    except ValueError:
        slices = [decoder.batch(content)]
    return [msgspec.json.decode(line, type=Record) for rows in slices for line in rows.logged]


LABEL = {"prediction_id": "01936a3c-0000-7000-8000-000000000000", "is_shill": True}


def body(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


def refusal(content: bytes, *, batch: bool = False) -> dict[str, Any]:
    with pytest.raises(Problem) as caught:
        (many if batch else DECODER.one)(content)
    answer = caught.value.response
    details: dict[str, Any] = json.loads(answer.body)
    assert details["status"] == answer.status
    assert details["type"] == f"/docs/errors#{caught.value.name}"
    return details


def one_error(content: bytes, *, batch: bool = False) -> tuple[str, str]:
    """The name of the problem, and its only error as pointer and text."""
    details = refusal(content, batch=batch)
    (error,) = details["errors"]
    assert error["type"] == details["type"]
    assert details["detail"] == f"{error['pointer']}: {error['detail']}".removeprefix(": ")
    return details["type"].partition("#")[2], details["detail"]


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        (body(bidding_ratio=1.7), "out-of-range", "/bidding_ratio: 1.7 is above the maximum 1"),
        (body(bidding_ratio=-0.1), "out-of-range", "/bidding_ratio: -0.1 is below the minimum 0"),
        (body(auction_duration=0), "out-of-range", "/auction_duration: 0 is not above 0"),
        (
            body(auction_duration=1e39),
            "out-of-range",
            "/auction_duration: 1e+39 is above the maximum 366",
        ),
        (
            body(winning_ratio="0.5"),
            "wrong-type",
            '/winning_ratio: expected a number, got the string "0.5"',
        ),
        (
            body(winning_ratio=True),
            "wrong-type",
            "/winning_ratio: expected a number, got true",
        ),
        (body(winning_ratio=None), "wrong-type", "/winning_ratio: expected a number, got null"),
        (body(auction_id=7), "wrong-type", "/auction_id: expected a string, got the number 7"),
        (body(bidder_id=[]), "wrong-type", "/bidder_id: expected a string, got an array"),
        (
            body(auction_id=math.nan),
            "wrong-type",
            "/auction_id: expected a string, got the number NaN",
        ),
        (b"[]", "wrong-type", "expected an object, got an array"),
        (
            body(winning_ratio=math.nan),
            "not-a-number",
            "/winning_ratio: NaN is not a finite number",
        ),
        (
            body(winning_ratio=-math.inf),
            "infinite-number",
            "/winning_ratio: -Infinity is not a finite number",
        ),
        (
            body().replace(b'"auction_duration": 0.5', b'"auction_duration": 1e400'),
            "infinite-number",
            "/auction_duration: 1e400 is not a finite number",
        ),
        (
            body().replace(b'"auction_duration": 0.5', b'"auction_duration": ' + b"9" * 5000),
            "infinite-number",
            f"/auction_duration: {'9' * 60}… is not a finite number",
        ),
        (without("last_bidding"), "missing-field", "/last_bidding: missing"),
        (
            body(winning_ration=1),
            "unknown-field",
            "/winning_ration: unknown field: did you mean winning_ratio?",
        ),
        (body(**{"a/b~c": 1}), "unknown-field", "/a~1b~0c: unknown field"),
        (
            body()[:-1] + b', "winning_ratio": 0.5}',
            "duplicate-key",
            "/winning_ratio: given 2 times",
        ),
        (
            body(auction_id=""),
            "wrong-length",
            "/auction_id: 0 characters are fewer than the minimum 1",
        ),
        (
            body(bidder_id="b" * 129),
            "wrong-length",
            "/bidder_id: 129 characters are more than the maximum 128",
        ),
        (
            body(auction_id="\ud800"),
            "wrong-format",
            '/auction_id: "\\ud800" has a lone surrogate',
        ),
        (body(**{"\ud800": 1}), "unknown-field", "/\\ud800: unknown field"),
    ],
)
def test_each_fault_has_its_own_problem_with_the_place_and_the_value(
    content: bytes, name: str, text: str
) -> None:
    assert one_error(content) == (name, text)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "the body is empty"),
        (b'{"auction_id": "a"', "Expecting ',' delimiter: line 1 column 19 (char 18)"),
        (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM (decode using utf-8-sig)"),
        (b'{"auction_id": "\xff"}', "byte 16 is not UTF-8"),
        (body() + b"x", "Extra data"),
        (body(auction_id="a").replace(b'"a"', b'"\n"'), "Invalid control character"),
    ],
)
def test_what_is_not_json_is_told_with_its_position(content: bytes, detail: str) -> None:
    details = refusal(content)
    assert details["type"] == "/docs/errors#malformed-json"
    assert details["status"] == 400
    assert details["detail"].startswith(detail)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_deeper_than_python_can_follow_is_refused(opening: bytes) -> None:
    with pytest.raises(Problem, match="nested too deeply") as caught:
        many(opening * 100_000, BodyDecoder(max_batch_rows=100_000))
    assert caught.value.name == "malformed-json"


def test_errors_of_several_kinds_share_one_answer() -> None:
    details = refusal(body(bidding_ratio=2, winning_ratio=None, extra=1))
    assert details["type"] == "/docs/errors#invalid-body"
    assert details["detail"] == "/bidding_ratio: 2 is above the maximum 1 (and 2 more)"
    assert [(error["pointer"], error["type"]) for error in details["errors"]] == [
        ("/bidding_ratio", "/docs/errors#out-of-range"),
        ("/winning_ratio", "/docs/errors#wrong-type"),
        ("/extra", "/docs/errors#unknown-field"),
    ]


def test_a_bad_row_is_pointed_at_by_its_index() -> None:
    rows = [GOOD, GOOD, GOOD, GOOD | {"bidding_ratio": 1.7}]
    assert one_error(json.dumps(rows).encode(), batch=True) == (
        "out-of-range",
        "/3/bidding_ratio: 1.7 is above the maximum 1",
    )


def test_a_duplicate_key_in_one_row_is_found_among_good_rows() -> None:
    rows = b"[" + body() + b"," + body()[:-1] + b', "auction_id": "b"}]'
    assert one_error(rows, batch=True) == ("duplicate-key", "/1/auction_id: given 2 times")


def test_an_absent_field_does_not_hide_a_duplicate_of_another() -> None:
    content = without("auction_duration")[:-1] + b', "winning_ratio": 0.5}'
    assert one_error(content) == ("duplicate-key", "/winning_ratio: given 2 times")


def test_errors_beyond_the_limit_are_counted() -> None:
    rows = [GOOD | {f"x{column}": 1 for column in range(3)}] * 50
    details = refusal(json.dumps(rows).encode(), batch=True)
    assert len(details["errors"]) == MAX_ERRORS
    assert details["omitted_errors"] == 150 - MAX_ERRORS
    assert details["detail"].endswith("(and 149 more)")


@pytest.mark.parametrize(
    ("content", "name", "text"),
    [
        (b"[]", "empty-batch", "fewer items than the minimum 1"),
        (
            b"[" + b",".join([body()] * 51) + b"]",
            "too-many-rows",
            "51 items are more than the maximum 50",
        ),
        (body(), "wrong-type", "expected an array, got an object"),
    ],
)
def test_a_batch_has_at_least_one_row_and_not_too_many(
    content: bytes, name: str, text: str
) -> None:
    assert one_error(content, batch=True) == (name, text)


@pytest.mark.parametrize("duration", [DEFAULT_AUCTION_DURATION_DAYS, 5, 7.0, None])
def test_a_duration_may_be_given_or_left_out(duration: float | None) -> None:
    content = without("auction_duration") if duration is None else body(auction_duration=duration)
    record = DECODER.one(content)
    assert record.auction_duration == (duration or DEFAULT_AUCTION_DURATION_DAYS)


@pytest.mark.parametrize(
    "identifier", ['a"b', "a\\b", "\u0000", "😀", "ä" * 128, '"' * 40, "\ud83d\ude00"]
)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_any_text_can_identify_an_auction(identifier: str, ensure_ascii: bool) -> None:
    text = json.dumps(GOOD | {"auction_id": identifier}, ensure_ascii=ensure_ascii)
    record = DECODER.one(text.encode("utf-8", "surrogatepass") if ensure_ascii else encoded(text))
    assert record.auction_id == identifier.encode("utf-16", "surrogatepass").decode("utf-16")


def encoded(text: str) -> bytes:
    return text.encode("utf-16", "surrogatepass").decode("utf-16").encode()


def test_escaped_keys_are_the_keys_they_spell() -> None:
    content = body().replace(b'"auction_id"', b'"auction\\u005fid"')
    assert DECODER.one(content).auction_id == "a"
    repeated = content[:-1] + b', "auction_id": "b"}'
    assert one_error(repeated) == ("duplicate-key", "/auction_id: given 2 times")


text = st.text('ab"\\é😀[{:,', max_size=4)
numbers = st.floats() | st.integers() | st.integers(min_value=10**300)
values = numbers | st.none() | st.booleans() | text | st.lists(st.none(), max_size=1)
records = st.builds(
    lambda changes, removed: {k: v for k, v in (GOOD | changes).items() if k not in removed},
    st.dictionaries(st.sampled_from([*GOOD, "bidder_id", "extra"]), values, max_size=3),
    st.sets(st.sampled_from(list(GOOD)), max_size=2),
)


@settings(max_examples=50)
@given(st.lists(records, max_size=3))
def test_the_explanation_agrees_with_the_fast_path(rows: list[dict[str, Any]]) -> None:
    content = json.dumps(rows).encode()
    try:
        expected = msgspec.json.decode(content, type=BATCH)
    except msgspec.DecodeError:
        assert refusal(content, batch=True)["type"]
    else:
        assert many(content) == explain(content, BATCH) == expected


@settings(max_examples=50)
@given(st.binary() | text.map(str.encode) | records.map(lambda r: json.dumps(r)[:-3].encode()))
def test_no_bytes_make_decoding_fail_otherwise_than_by_a_problem(content: bytes) -> None:
    for decode in (DECODER.one, many):
        with contextlib.suppress(Problem):
            decode(content)


def explained(*labels: dict[str, Any]) -> list[str]:
    with pytest.raises(Problem) as caught:
        DECODER.labels(json.dumps({"labels": labels}).encode())
    return [
        f"{error['pointer']}: {error['detail']}"
        for error in json.loads(caught.value.response.body)["errors"]
    ]


def test_nested_bodies_are_explained_by_the_same_rules() -> None:
    assert explained(LABEL, LABEL | {"is_shill": 1}) == [
        "/labels/1/is_shill: expected true or false, got the number 1"
    ]
    assert explained(LABEL | {"prediction_id": "7" * 36})[0].startswith(
        f'/labels/0/prediction_id: "{"7" * 36}" does not match ^'
    )
    assert explained(LABEL | {"labelled_at": "2026-11-23T12:00"}) == [
        (
            '/labels/0/labelled_at: "2026-11-23T12:00" is not a date-time with its zone, as '
            "2026-11-23T12:00:00Z is"
        )
    ]
    assert explained(LABEL | {"labelled_at": 7}) == [
        "/labels/0/labelled_at: expected a string, got the number 7"
    ]
    assert explained() == ["/labels: fewer items than the minimum 1"]


def test_a_duplicate_key_inside_a_nested_object_is_found() -> None:
    label = json.dumps(LABEL)[:-1] + ', "is_shill": false}'
    with pytest.raises(Problem, match="/labels/0/is_shill: given 2 times"):
        DECODER.labels(f'{{"labels": [{label}]}}'.encode())


def test_right_labels_are_decoded_with_and_without_their_time() -> None:
    timed = LABEL | {"labelled_at": "2026-11-23T12:00:00+01:00"}
    content = json.dumps({"labels": [timed, LABEL]}).encode()
    first, second = DECODER.labels(content)
    assert isinstance(first.labelled_at, datetime)
    assert first.labelled_at.isoformat() == "2026-11-23T12:00:00+01:00"
    assert second.labelled_at is UNSET
    assert explain(content, Feedback).labels == [first, second]


@pytest.mark.parametrize("decode", [DECODER.one, many, DECODER.labels])
@pytest.mark.parametrize("item", [b"{}", b"[]", b"0", b'""', b'{"a":1}'])
def test_a_document_larger_than_any_right_one_is_refused_before_it_is_built(
    decode: Callable[[bytes], object], item: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "loads", None)
    for content in (b"[%s]", b'{"labels":[%s]}'):
        with pytest.raises(Problem) as caught:
            decode(content % b",".join([item] * 200_000))
        assert caught.value.name == "too-many-values"


@pytest.mark.parametrize("rows", [51, 5_000])
def test_too_many_right_records_are_refused_by_their_number(rows: int) -> None:
    content = json.dumps([GOOD] * rows).encode()
    detail = f"{rows} items are more than the maximum 50"
    assert one_error(content, batch=True) == ("too-many-rows", detail)


def test_too_many_right_labels_are_refused_by_their_number() -> None:
    with pytest.raises(Problem) as caught:
        DECODER.labels(json.dumps({"labels": [LABEL] * 60_000}).encode())
    assert caught.value.name == "too-many-rows"
    assert "/labels: 60000 items are more than the maximum 10000" in str(caught.value)


def test_a_type_without_explanation_is_an_error_of_ours() -> None:
    with pytest.raises(NotImplementedError):
        explain(b'"x"', int)


def test_a_record_can_be_explained_alone() -> None:
    assert explain(body(), Record) == DECODER.one(body())
