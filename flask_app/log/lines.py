"""The lines of the two logs: what they say, and where they say it."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from flask_app.log.ids import PredictionId
from flask_app.record import FIELDS, Record, UnitInterval


class LoggedPrediction(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One line of the prediction log."""

    prediction_id: PredictionId
    at: datetime
    model_version: str
    record: Record
    probability: UnitInterval
    prediction: Literal[0, 1]
    threshold: UnitInterval


class Label(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What became known about a prediction after it was made."""

    prediction_id: PredictionId
    is_shill: Annotated[bool, Meta(description="Whether the bidder was a shill in that auction.")]
    labelled_at: (
        Annotated[
            datetime,
            Meta(tz=True, description="When it became known; by default when the label arrives."),
        ]
        | UnsetType
    ) = UNSET


class LoggedLabel(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the label log; of several for one prediction the last holds.

    Attributes:
        prediction_id: What is judged.
        is_shill: Whether the bidder was a shill; None: nobody says so, whoever did before.
        labelled_at: When it became known.
        at: When it was written.
        skipped: Whether who looked did not want to judge.
        reviewer: Who looked.
        comment: What he has to say.
        weight: For how many predictions this one was drawn, itself included; absent where it was
            not drawn.
    """

    prediction_id: PredictionId
    is_shill: bool | None = None
    labelled_at: datetime
    at: datetime
    skipped: bool | UnsetType = UNSET
    reviewer: str | UnsetType = UNSET
    comment: str | UnsetType = UNSET
    weight: float | UnsetType = UNSET


_PastRecord = msgspec.defstruct(
    "_PastRecord",
    [
        (field.name, {"number": float, "text": str}[field.type] | UnsetType, UNSET)
        for field in FIELDS
    ],
)
PastPrediction: Any = msgspec.defstruct(
    "PastPrediction",
    [
        (field.name, _PastRecord if field.name == "record" else field.type)
        for field in msgspec.structs.fields(LoggedPrediction)
    ],
)
"""A `LoggedPrediction` of any release: its record may lack fields, and no ranges are checked."""

# Both kinds of line begin with the prediction's id, so a reader finds it without decoding.
BEGIN = b'{"prediction_id":"'
ID = slice(len(BEGIN), len(BEGIN) + 36)
TIME = slice(len(BEGIN), len(BEGIN) + 13)
"""The part of the id that tells when it was made; see `ids.time_key`."""
_ENDS = (b"}\n", b"}")


def is_whole(line: bytes) -> bool:
    """Whether `line` begins and ends as a line does; what died with its machine does not."""
    return line.startswith(BEGIN) and line.endswith(_ENDS)
