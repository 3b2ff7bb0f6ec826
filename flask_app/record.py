"""The record that is scored: one bidder in one auction.

Names, order and ranges follow UCI 562 (doi 10.24432/C5Z611) in lower case. `Record` is the single
definition: decoding, validation, the OpenAPI document, training, the bundle's manifest, the log,
the archive and drift follow it. A new feature is a new number in `Record` and a model trained with
it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

MAX_IDENTIFIER = 128
"""Longest identifier, characters."""
Identifier = Annotated[str, Meta(min_length=1, max_length=MAX_IDENTIFIER)]
UnitInterval = Annotated[float, Meta(ge=0.0, le=1.0)]
MAX_AUCTION_DURATION_DAYS = 366.0
"""Far beyond every auction, and far within what the model's 32-bit floats can hold."""
Days = Annotated[float, Meta(gt=0.0, le=MAX_AUCTION_DURATION_DAYS)]

DEFAULT_AUCTION_DURATION_DAYS = 5.0
"""Median auction duration in UCI 562; stands in for callers that do not know theirs."""


class Record(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False, kw_only=True):
    """One bidder in one auction; shares and positions lie in [0, 1], durations are in days.

    Every number is a feature. The first example of each field makes the documentation's record.
    """

    auction_id: Annotated[
        Identifier,
        Meta(description="The auction. Rows of one auction share it.", examples=["732"]),
    ]
    bidder_tendency: Annotated[
        UnitInterval,
        Meta(
            description="How concentrated the bidder is on this seller: participation in this "
            "seller's auctions / in all auctions.",
            examples=[0.5],
        ),
    ]
    bidding_ratio: Annotated[
        UnitInterval,
        Meta(description="The bidder's bids / the auction's bids.", examples=[0.35]),
    ]
    successive_outbidding: Annotated[
        UnitInterval,
        Meta(
            description="1 if the bidder outbid himself three times or more in a row, 0.5 if "
            "twice, else 0.",
            examples=[1.0],
        ),
    ]
    last_bidding: Annotated[
        UnitInterval,
        Meta(
            description="Where the bidder's last bid falls: (t - start) / (end - start).",
            examples=[0.74],
        ),
    ]
    auction_bids: Annotated[
        UnitInterval,
        Meta(
            description="1 - mean bids an auction / this auction's bids where it has more than "
            "the mean, else 0.",
            examples=[0.2],
        ),
    ]
    starting_price_average: Annotated[
        UnitInterval,
        Meta(
            description="1 - starting price / mean starting price of like items where it is below "
            "the mean, else 0.",
            examples=[0.99],
        ),
    ]
    early_bidding: Annotated[
        UnitInterval,
        Meta(
            description="Where the bidder's first bid falls: (t - start) / (end - start).",
            examples=[0.42],
        ),
    ]
    winning_ratio: Annotated[
        UnitInterval,
        Meta(
            description="1 - auctions won / auctions the bidder took a large part in, 0 where "
            "there are none.",
            examples=[0.9],
        ),
    ]
    auction_duration: Annotated[
        Days,
        Meta(
            description="Length of the auction, days. The default is the training data's median.",
            examples=[5.0],
        ),
    ] = DEFAULT_AUCTION_DURATION_DAYS
    bidder_id: (
        Annotated[
            Identifier,
            Meta(description="The bidder; kept in the prediction log only.", examples=["g***r"]),
        ]
        | UnsetType
    ) = UNSET


class Field(NamedTuple):
    """One field of a `Record`."""

    name: str
    type: Literal["number", "text"]
    required: bool
    json_schema: dict[str, Any]


def _fields() -> Iterator[Field]:
    schema = msgspec.json.schema(Record)["$defs"]["Record"]
    for name, of in schema["properties"].items():
        kind: Literal["number", "text"] = "number" if of["type"] == "number" else "text"
        yield Field(name, kind, name in schema["required"], of)


def schema_id(fields: Iterable[Field]) -> str:
    """Name `fields` by their names and types and which are required: 12 hex digits."""
    lines = "\n".join(f"{name} {kind} {required}" for name, kind, required, _ in fields)
    return hashlib.sha256(lines.encode()).hexdigest()[:12]


FIELDS = tuple(_fields())
FEATURES = tuple(field.name for field in FIELDS if field.type == "number")
"""Model inputs, in column order."""
SCHEMA_ID = schema_id(FIELDS)
"""Changes with what a record says, not with ranges or descriptions. The manifest, the names of the
log's segments, the archive's Parquet files and the drift job's summary carry it."""
