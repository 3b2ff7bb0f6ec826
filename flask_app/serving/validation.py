"""Decoding of request bodies: fast where they are right, exact where they are not.

`msgspec` decodes and validates a good body in one pass, but it stops at the first fault and
silently takes the last of several equal keys. So whatever it refuses, or may have misread, is
parsed once more by `explain`, which reports every fault with a JSON pointer. That builds the whole
document, so a body with more values than a right one could have is refused unexplained.
"""

import contextlib
import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, NamedTuple, cast

import msgspec
from msgspec import UNSET, Meta, inspect

from flask_app.log.lines import Label
from flask_app.record import DEFAULT_AUCTION_DURATION_DAYS, FIELDS, Record
from flask_app.serving.messages import (
    MAX_BIDS,
    MAX_LABELS,
    Auction,
    AuctionWithBids,
    Bid,
    Feedback,
)
from flask_app.serving.problems import FieldError, Problem, type_uri
from flask_app.serving.rows import SLICE_ROWS, Rows, fits_into_lines

MAX_ERRORS = 100
MAX_SHOWN = 60
"""Longest excerpt of a caller's value or key in a message, characters."""
MIN_EXPLAINED_VALUES = 10_000
"""A body of no more values than this is explained whatever it should have been."""
EXPLAINED_VALUES_RATIO = 2
"""A body is explained up to so many times the values that the largest right one has."""
MIN_SPLIT_VALUES = 100_000
"""A batch of no more values than this is split and counted whatever it should have been."""
MAX_DIGITS = 308
"""Longer integers are taken for infinite: no float can hold them."""

REQUIRED_KEYS = sum(field.required for field in msgspec.structs.fields(Record))
SURROGATE = re.compile("[\ud800-\udfff]")
SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")

_AwareDatetime = Annotated[datetime, Meta(tz=True)]


def batch_type(max_rows: int) -> Any:
    """Return the type of a batch of one to `max_rows` records."""
    return Annotated[list[Record], Meta(min_length=1, max_length=max_rows)]


class _Labels(msgspec.Struct, forbid_unknown_fields=True):
    """`Feedback` of any length: msgspec would decode all labels before it counts them."""

    labels: list[Label]


class _AnyAuctionWithBids(msgspec.Struct, forbid_unknown_fields=True):
    """`AuctionWithBids` of any length, for the same reason."""

    auction: Auction
    bids: list[Bid]


class BodyDecoder:
    """Decodes the bodies of the routes that take one.

    Args:
        max_batch_rows: Most records in a batch.
    """

    def __init__(self, max_batch_rows: int) -> None:
        self._max_batch_rows = max_batch_rows
        self._batch_type = batch_type(max_batch_rows)
        self._max_split_values = max(
            MIN_SPLIT_VALUES, EXPLAINED_VALUES_RATIO * max_batch_rows * len(FIELDS)
        )
        self._one = msgspec.json.Decoder(Record)
        self._documents = msgspec.json.Decoder(list[msgspec.Raw])
        self._labels = msgspec.json.Decoder(_Labels)
        self._auction = msgspec.json.Decoder(_AnyAuctionWithBids)

    def one(self, body: bytes) -> Record:
        """Decode one record; raises `Problem` if the body is anything else."""
        with contextlib.suppress(ValueError, RecursionError):
            record = self._one.decode(body)
            if _quotes([record]) == body.count(b'"'):
                return record
        return cast(Record, explain(body, Record))

    def slices(self, body: bytes) -> Iterator[Rows]:
        """Decode a batch, slice by slice; all of it is wanted before any is used.

        Raises:
            ValueError: The body may be anything else: `batch` tells.
        """
        most = self._max_split_values
        if len(body) > 2 * most and body.count(b",") > most:
            raise ValueError("more values than a batch has")
        try:
            documents = self._documents.decode(body)
        except RecursionError as error:
            raise ValueError(*error.args) from None
        _check_count(documents, self._max_batch_rows, "")
        if not documents:
            raise ValueError("an empty batch")
        can_be_logged = fits_into_lines(body, len(documents))
        quotes = 0
        for start in range(0, len(documents), SLICE_ROWS):
            sent = documents[start : start + SLICE_ROWS]
            records = [self._one.decode(document) for document in sent]
            quotes += _quotes(records)
            yield Rows.of(records, sent if can_be_logged else [None] * len(sent))
        if quotes != body.count(b'"'):
            raise ValueError("repeated keys or escaped quotation marks")

    def batch(self, body: bytes) -> list[Rows]:
        """Decode a batch, at leisure; raises `Problem` if the body is anything else."""
        records = cast(list[Record], explain(body, self._batch_type))
        slices = (records[at : at + SLICE_ROWS] for at in range(0, len(records), SLICE_ROWS))
        return [Rows.of(part, [None] * len(part)) for part in slices]

    def labels(self, body: bytes) -> list[Label]:
        """Decode `Feedback`; raises `Problem` if the body is anything else."""
        with contextlib.suppress(ValueError, RecursionError):
            labels = self._labels.decode(body).labels
            _check_count(labels, MAX_LABELS, "/labels")
            if labels and _quotes_of_labels(labels) == body.count(b'"'):
                return labels
        return cast(Feedback, explain(body, Feedback)).labels

    def auction(self, body: bytes) -> AuctionWithBids:
        """Decode an auction and its bids; raises `Problem` if the body is anything else."""
        with contextlib.suppress(ValueError, RecursionError):
            found = self._auction.decode(body)
            _check_count(found.bids, MAX_BIDS, "/bids")
            if _quotes_of_auction(found) == body.count(b'"'):
                return AuctionWithBids(found.auction, found.bids)
        return cast(AuctionWithBids, explain(body, AuctionWithBids))


def _check_count(items: Sequence[object], most: int, pointer: str) -> None:
    if len(items) > most:
        refuse(iter([_too_many(len(items), most, pointer)]))


def _quotes_of_labels(labels: list[Label]) -> int:
    """Count the quotation marks that spell `labels` when no key is repeated; see `_quotes`."""
    times = sum(label.labelled_at is not UNSET for label in labels)
    # The key of the list; of each label two keys and the id, and a time's key and value.
    return 2 * (1 + 3 * len(labels) + 2 * times)


def _quotes_of_auction(found: _AnyAuctionWithBids) -> int:
    """Count the quotation marks that spell `found` when no key is repeated; see `_quotes`."""
    category = found.auction.item_category is not UNSET
    # Two keys; of the auction five keys and four strings; of each bid four keys and three strings.
    return 2 * (2 + 9 + 2 * category + 7 * len(found.bids))


def _quotes(records: list[Record]) -> int:
    """Count the quotation marks that spell `records` when no key is repeated.

    Two a key and two a string: a repeated key or an escaped quotation mark in a string only ever
    adds to them, so a body with exactly as many repeats nothing. `is` tells an absent duration,
    for which msgspec puts the default object itself, from one given with the same value.
    """
    strings = len(records)
    keys = REQUIRED_KEYS * strings
    for record in records:
        if record.auction_duration is not DEFAULT_AUCTION_DURATION_DAYS:
            keys += 1
        if record.bidder_id is not UNSET:
            keys += 1
            strings += 1
    return 2 * (keys + strings)


def explain(body: bytes, kind: Any) -> Any:
    """Decode `body` as `kind`, or tell everything that is wrong with it.

    Args:
        body: A JSON document.
        kind: A type made of structs, lists, strings, floats, booleans and date-times.

    Raises:
        Problem: The body is not a `kind`. Its name is the errors' common type, if they have one.
    """
    most = max(MIN_EXPLAINED_VALUES, EXPLAINED_VALUES_RATIO * _values(inspect.type_info(kind)))
    # Each value but the first comes after one of these, which strings may contain as well.
    values = sum(body.count(mark) for mark in (b",", b"[", b"{"))
    if values > most:
        detail = f"it is not as it should be, and has some {values} values, more than {most}"
        raise Problem("too-many-values", detail)
    document = _Document(body)
    if document.plain:
        try:
            return msgspec.convert(document.value, kind)
        except msgspec.ValidationError:
            pass
    refuse(document.errors(document.value, inspect.type_info(kind), ""))
    try:
        return msgspec.convert(document.value, kind)
    except msgspec.ValidationError as error:
        raise Problem("invalid-body", str(error)) from None


def _values(kind: inspect.Type) -> int:
    """Return how many values, itself included, a right value of type `kind` has at most."""
    match kind:
        case inspect.Metadata():
            return _values(kind.type)
        case inspect.StructType():
            return 1 + sum(_values(field.type) for field in kind.fields)
        case inspect.ListType():
            return 1 + (kind.max_length or 1) * _values(kind.item_type)
        case _:
            return 1


def refuse(errors: Iterator[FieldError]) -> None:
    """Raise `Problem` with the first of `errors`, if there are any."""
    shown = list(islice(errors, MAX_ERRORS))
    if not shown:
        return
    omitted = Counter(error.type for error in errors)
    kinds = {error.type for error in shown} | omitted.keys()
    more = len(shown) + omitted.total() - 1
    detail = str(shown[0]) + (f" (and {more} more)" if more else "")
    name = kinds.pop().partition("#")[2] if len(kinds) == 1 else "invalid-body"
    raise Problem(name, detail, errors=shown, omitted_errors=omitted.total())


class _NotFinite(NamedTuple):
    """The literal of a number that is none, or that no float can hold."""

    literal: str

    def __str__(self) -> str:
        return self.literal


class _Repeated(dict[str, Any]):
    """An object some of whose keys are given more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.counts = Counter(key for key, _ in pairs)


class _Document:
    """A parsed body that has kept what JSON parsers drop.

    Attributes:
        value: What the JSON says; may contain `_NotFinite` and `_Repeated`.
        plain: Whether it surely has no repeated keys and no lone surrogates.
    """

    def __init__(self, body: bytes) -> None:
        self.plain = SURROGATE_ESCAPE.search(body) is None
        self._hints = MAX_ERRORS
        try:
            self.value = json.loads(
                body.decode(),
                object_pairs_hook=self._object,
                parse_constant=_NotFinite,
                parse_float=_parse_float,
                parse_int=_parse_int,
            )
        except UnicodeDecodeError as error:
            raise Problem("malformed-json", f"byte {error.start} is not UTF-8") from None
        except json.JSONDecodeError as error:
            what = str(error) if body else "the body is empty"
            raise Problem("malformed-json", what) from None
        except RecursionError:
            raise Problem("malformed-json", "arrays or objects are nested too deeply") from None

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        self.plain = False
        return _Repeated(pairs)

    def errors(self, value: Any, kind: inspect.Type, pointer: str) -> Iterator[FieldError]:
        """Yield everything that is wrong with `value`, which should be a `kind`."""
        match kind:
            case inspect.Metadata():
                yield from self.errors(value, kind.type, pointer)
            case inspect.StructType():
                yield from self._struct_errors(value, kind, pointer)
            case inspect.ListType():
                yield from self._list_errors(value, kind, pointer)
            case inspect.FloatType():
                yield from _float_errors(value, kind, pointer)
            case inspect.StrType():
                yield from _string_errors(value, kind, pointer)
            case inspect.BoolType():
                if not isinstance(value, bool):
                    yield _wrong_type("true or false", value, pointer)
            case inspect.DateTimeType():
                yield from _datetime_errors(value, pointer)
            case _:
                raise NotImplementedError(f"no explanation for values of type {kind}")

    def _struct_errors(
        self, value: Any, kind: inspect.StructType, pointer: str
    ) -> Iterator[FieldError]:
        if not isinstance(value, dict):
            yield _wrong_type("an object", value, pointer)
            return
        if self.plain:
            try:
                msgspec.convert(value, kind.cls)
            except msgspec.ValidationError:
                pass
            else:
                return
        fields = {field.encode_name: field for field in kind.fields}
        for key, item in value.items():
            here = f"{pointer}/{_token(key)}"
            if isinstance(value, _Repeated) and value.counts[key] > 1:
                yield _error(here, "duplicate-key", f"given {value.counts[key]} times")
            if key in fields:
                yield from self.errors(item, fields[key].type, here)
            else:
                yield _error(here, "unknown-field", f"unknown field{self._hint(key, fields)}")
        for name, field in fields.items():
            if field.required and name not in value:
                yield _error(f"{pointer}/{name}", "missing-field", "missing")

    def _hint(self, key: str, names: Iterable[str]) -> str:
        if self._hints == 0:  # only so many errors are shown, and looking for names is slow
            return ""
        self._hints -= 1
        near = difflib.get_close_matches(key[:MAX_SHOWN], names, n=1)
        return f": did you mean {near[0]}?" if near else ""

    def _list_errors(
        self, value: Any, kind: inspect.ListType, pointer: str
    ) -> Iterator[FieldError]:
        if not isinstance(value, list):
            yield _wrong_type("an array", value, pointer)
        elif len(value) < (kind.min_length or 0):
            yield _error(pointer, "empty-batch", f"fewer items than the minimum {kind.min_length}")
        elif kind.max_length is not None and len(value) > kind.max_length:
            yield _too_many(len(value), kind.max_length, pointer)
        else:
            for index, item in enumerate(value):
                yield from self.errors(item, kind.item_type, f"{pointer}/{index}")


def _float_errors(value: Any, kind: inspect.FloatType, pointer: str) -> Iterator[FieldError]:
    if isinstance(value, _NotFinite):
        name = "not-a-number" if value.literal == "NaN" else "infinite-number"
        yield _error(pointer, name, f"{_excerpt(value)} is not a finite number")
    elif isinstance(value, bool) or not isinstance(value, int | float):
        yield _wrong_type("a number", value, pointer)
    elif kind.ge is not None and value < kind.ge:
        yield _error(pointer, "out-of-range", f"{_excerpt(value)} is below the minimum {kind.ge:g}")
    elif kind.le is not None and value > kind.le:
        yield _error(pointer, "out-of-range", f"{_excerpt(value)} is above the maximum {kind.le:g}")
    elif kind.gt is not None and value <= kind.gt:
        yield _error(pointer, "out-of-range", f"{_excerpt(value)} is not above {kind.gt:g}")


def _string_errors(value: Any, kind: inspect.StrType, pointer: str) -> Iterator[FieldError]:
    if not isinstance(value, str):
        yield _wrong_type("a string", value, pointer)
    elif kind.min_length is not None and len(value) < kind.min_length:
        detail = f"{len(value)} characters are fewer than the minimum {kind.min_length}"
        yield _error(pointer, "wrong-length", detail)
    elif kind.max_length is not None and len(value) > kind.max_length:
        detail = f"{len(value)} characters are more than the maximum {kind.max_length}"
        yield _error(pointer, "wrong-length", detail)
    elif kind.pattern is not None and not re.search(kind.pattern, value):
        yield _error(pointer, "wrong-format", f"{_excerpt(value)} does not match {kind.pattern}")
    elif SURROGATE.search(value):
        yield _error(pointer, "wrong-format", f"{_excerpt(value)} has a lone surrogate")


def _datetime_errors(value: Any, pointer: str) -> Iterator[FieldError]:
    if not isinstance(value, str):
        yield _wrong_type("a string", value, pointer)
        return
    try:
        msgspec.convert(value, _AwareDatetime)
    except msgspec.ValidationError:
        detail = f"{_excerpt(value)} is not a date-time with its zone, as 2026-11-23T12:00:00Z is"
        yield _error(pointer, "wrong-format", detail)


def _too_many(count: int, most: int, pointer: str) -> FieldError:
    return _error(pointer, "too-many-rows", f"{count} items are more than the maximum {most}")


def _wrong_type(expected: str, value: Any, pointer: str) -> FieldError:
    return _error(pointer, "wrong-type", f"expected {expected}, got {_describe(value)}")


def _error(pointer: str, name: str, detail: str) -> FieldError:
    return FieldError(pointer, type_uri(name), detail)


def _describe(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case None | bool():
            return json.dumps(value)
        case str():
            return f"the string {_excerpt(value)}"
        case _:
            return f"the number {_excerpt(value)}"


def _excerpt(value: Any) -> str:
    """Show a caller's value; what is not Unicode is escaped, what is long is cut."""
    text = str(value)
    shown = text[:MAX_SHOWN].encode(errors="backslashreplace").decode()
    shown += "…" if len(text) > MAX_SHOWN else ""
    return f'"{shown}"' if isinstance(value, str) else shown


def _token(key: str) -> str:
    """Return one reference token of a JSON pointer."""
    shown = key[:MAX_SHOWN].encode(errors="backslashreplace").decode()
    return shown.replace("~", "~0").replace("/", "~1") + ("…" if len(key) > MAX_SHOWN else "")


def _parse_float(literal: str) -> float | _NotFinite:
    value = float(literal)
    return value if math.isfinite(value) else _NotFinite(literal)


def _parse_int(literal: str) -> int | _NotFinite:
    return int(literal) if len(literal) <= MAX_DIGITS else _NotFinite(literal)
