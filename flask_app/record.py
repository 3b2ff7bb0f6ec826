"""The record that is scored: one bidder in one auction.

Names, order and ranges follow UCI 562 (doi 10.24432/C5Z611) in lower case. `Record` is the single
definition that decoding, validation, the OpenAPI document and the bundle's manifest share.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
UnitInterval = Annotated[float, Meta(ge=0.0, le=1.0)]
Days = Annotated[float, Meta(gt=0.0)]

DEFAULT_AUCTION_DURATION_DAYS = 5.0
"""Median auction duration in UCI 562; stands in for callers that do not know theirs."""


class Record(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False, kw_only=True):
    """One bidder in one auction; shares and positions lie in [0, 1], durations are in days."""

    auction_id: Annotated[
        Identifier, Meta(description="The auction. Rows of one auction share it.")
    ]
    bidder_tendency: Annotated[
        UnitInterval,
        Meta(
            description="How concentrated the bidder is on this seller: participation in this "
            "seller's auctions / in all auctions."
        ),
    ]
    bidding_ratio: Annotated[
        UnitInterval, Meta(description="The bidder's bids / the auction's bids.")
    ]
    successive_outbidding: Annotated[
        UnitInterval,
        Meta(
            description="1 if the bidder outbid himself three times or more in a row, 0.5 if "
            "twice, else 0."
        ),
    ]
    last_bidding: Annotated[
        UnitInterval,
        Meta(description="Where the bidder's last bid falls: (t - start) / (end - start)."),
    ]
    auction_bids: Annotated[
        UnitInterval,
        Meta(
            description="1 - mean bids an auction / this auction's bids where it has more than "
            "the mean, else 0."
        ),
    ]
    starting_price_average: Annotated[
        UnitInterval,
        Meta(
            description="1 - starting price / mean starting price of like items where it is below "
            "the mean, else 0."
        ),
    ]
    early_bidding: Annotated[
        UnitInterval,
        Meta(description="Where the bidder's first bid falls: (t - start) / (end - start)."),
    ]
    winning_ratio: Annotated[
        UnitInterval,
        Meta(
            description="1 - auctions won / auctions the bidder took a large part in, 0 where "
            "there are none."
        ),
    ]
    auction_duration: Annotated[
        Days,
        Meta(description="Length of the auction, days. The default is the training data's median."),
    ] = DEFAULT_AUCTION_DURATION_DAYS
    bidder_id: (
        Annotated[Identifier, Meta(description="The bidder; kept in the prediction log only.")]
        | UnsetType
    ) = UNSET


FEATURES: tuple[str, ...] = (
    "bidder_tendency",
    "bidding_ratio",
    "successive_outbidding",
    "last_bidding",
    "auction_bids",
    "starting_price_average",
    "early_bidding",
    "winning_ratio",
    "auction_duration",
)
"""Model inputs, in column order."""
