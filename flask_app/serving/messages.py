"""What the API says: the types of its bodies, from which the OpenAPI document is made."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flask_app.log.ids import PredictionId
from flask_app.log.lines import Label
from flask_app.model.bands import Band
from flask_app.model.bundle import Bands, CrossValidationMetrics, Feature, Threshold, TrainingData
from flask_app.model.reasons import Reason
from flask_app.record import UnitInterval

MAX_LABELS = 10_000
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


class Feedback(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Labels for earlier predictions; of several for one prediction the last holds."""

    labels: Annotated[list[Label], Meta(min_length=1, max_length=MAX_LABELS)]


class FeedbackReceipt(msgspec.Struct, frozen=True):
    """Confirms that labels are on disk."""

    recorded: int


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["alive"] = "alive"


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
