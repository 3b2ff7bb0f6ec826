"""What the API says: the types of its bodies, from which the OpenAPI document is made."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flask_app.bids.tables import MAX_AMOUNT
from flask_app.log.ids import PredictionId
from flask_app.log.lines import Label
from flask_app.model.bands import Band
from flask_app.model.bundle import Bands, CrossValidationMetrics, Feature, Threshold, TrainingData
from flask_app.model.reasons import Reason
from flask_app.record import Identifier, UnitInterval
from flask_app.store.bundle import Timestamp

MAX_LABELS = 10_000
MAX_BIDS = 10_000
"""Most bids of an auction that is scored as it runs."""
Amount = Annotated[float, Meta(gt=0.0, le=MAX_AMOUNT)]
DRY_RUN = "dry_run"
"""The query parameter of requests that are answered, but neither logged nor counted."""
EXPLAIN = "explain"
"""The query parameter of predictions that come with their band and reasons."""
MAX_EXPLAINED = 50
"""Most records of a batch that get reasons, those with the highest probabilities; to explain one
takes some milliseconds."""


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """The score of one record."""

    prediction_id: PredictionId
    prediction: Annotated[Literal[0, 1], Meta(description="1: shill, 0: honest.")]
    is_shill_bid: bool
    probability: Annotated[UnitInterval, Meta(description="Calibrated probability of a shill.")]
    threshold: Annotated[
        UnitInterval, Meta(description="The prediction is 1 at this probability or above.")
    ]
    model_version: str
    band: Annotated[
        Band | UnsetType,
        Meta(description="What to do: `review` and `block` begin at the model's thresholds."),
    ] = UNSET
    reasons: Annotated[
        list[Reason] | UnsetType,
        Meta(
            description="What each feature adds to the probability of a typical honest record, the "
            "largest first; exact Shapley values."
        ),
    ] = UNSET


class Predictions(msgspec.Struct, frozen=True, gc=False):
    """The scores of a batch, in the order of its records."""

    predictions: list[Prediction]


class Auction(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """An auction, open or closed; as a row of the table `auctions` in docs/bids.md."""

    auction_id: Identifier
    seller_id: Identifier
    starting_price: Amount
    opened_at: Timestamp
    closes_at: Timestamp
    item_category: Identifier | UnsetType = UNSET


class Bid(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """A bid on the auction; as a row of the table `bids` in docs/bids.md."""

    bid_id: Identifier
    bidder_id: Identifier
    amount: Amount
    placed_at: Timestamp


class AuctionWithBids(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """An auction and all its bids until now, in any order."""

    auction: Auction
    bids: Annotated[list[Bid], Meta(max_length=MAX_BIDS)]


class ScoredBidder(Prediction, frozen=True, gc=False, kw_only=True):
    """A bidder's record, and its score."""

    bidder_id: Identifier
    is_seller: Annotated[
        bool, Meta(description="Whether he bids on his own auction: a finding in itself.")
    ]
    in_profiles: Annotated[
        bool,
        Meta(
            description="Whether the profiles have him. Where they have not, bidder_tendency and "
            "winning_ratio are 0."
        ),
    ]
    features: Annotated[
        dict[str, float], Meta(description="The nine features, as docs/features.md has them.")
    ]


class ScoredAuction(msgspec.Struct, frozen=True, gc=False):
    """The bidders of an auction, the most suspicious first."""

    auction_id: Identifier
    profiles: Annotated[str, Meta(description="Version of the snapshot.")]
    repeated_bids: Annotated[
        int, Meta(description="Bids that were there before, word for word, and were passed over.")
    ]
    bidders: list[ScoredBidder]


class Feedback(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Labels for earlier predictions; of several for one prediction the last holds."""

    labels: Annotated[list[Label], Meta(min_length=1, max_length=MAX_LABELS)]


class FeedbackReceipt(msgspec.Struct, frozen=True):
    """Confirms that labels are on disk."""

    recorded: int


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["alive"] = "alive"


class ProfilesInUse(msgspec.Struct, frozen=True):
    """The snapshot of the profiles with which `/score_auction` answers."""

    version: str
    until: Annotated[datetime, Meta(description="When the auctions that it adds up had closed.")]


class Readiness(msgspec.Struct, frozen=True):
    """The process can serve predictions."""

    model_version: str
    prediction_log: Annotated[
        Literal["writing", "dropping", "not-synced"],
        Meta(
            description="`dropping` while the disk takes no more lines, `not-synced` while lines "
            "are written but cannot be forced to disk."
        ),
    ]
    release: Annotated[str, Meta(description="The deployment's name, SHILL_RELEASE.")]
    profiles: Annotated[
        ProfilesInUse | None,
        Meta(description="null where none is promoted: `/score_auction` then answers 503."),
    ]
    authentication: Annotated[
        Literal["keys", "off"], Meta(description="Whether requests need a key.")
    ]
    status: Literal["ready"] = "ready"


class ModelDescription(msgspec.Struct, frozen=True):
    """The model in use, from its manifest."""

    version: str
    created_at: datetime
    loaded_at: datetime
    estimator: str
    calibration: str
    threshold: Threshold
    bands: Bands
    metrics: CrossValidationMetrics
    dataset: TrainingData
    features: tuple[Feature, ...]
