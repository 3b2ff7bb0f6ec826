"""The OpenAPI 3.1 document, made of the types that decode, validate and encode the bodies."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from flask_app import __version__
from flask_app.record import FIELDS, Record
from flask_app.serving.access import NEEDED
from flask_app.serving.messages import (
    DRY_RUN,
    EXPLAIN,
    MAX_EXPLAINED,
    AuctionWithBids,
    Feedback,
    FeedbackReceipt,
    Health,
    ModelDescription,
    Prediction,
    Predictions,
    Readiness,
    ScoredAuction,
)
from flask_app.serving.ndjson import NDJSON
from flask_app.serving.problems import JSON, PROBLEM_JSON, PROBLEM_TYPES, ProblemDetails
from flask_app.serving.validation import batch_type
from flask_app.settings import Settings

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"

BODY_PROBLEMS = (
    "malformed-json",
    "unknown-field",
    "missing-field",
    "duplicate-key",
    "wrong-type",
    "not-a-number",
    "infinite-number",
    "out-of-range",
    "wrong-length",
    "wrong-format",
    "invalid-body",
    "too-many-values",
    "bad-request",
    "body-timeout",
    "body-too-large",
    "unsupported-media-type",
    "internal-error",
    "overloaded",
)
PREDICTION_PROBLEMS = ("invalid-score", "not-ready")
KEY_PROBLEMS = ("unauthenticated", "forbidden", "rate-limited")
LIST_PROBLEMS = (*BODY_PROBLEMS, "empty-batch", "too-many-rows")

KEY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of this API; the scope that an operation needs is beside it.",
}
DRY_RUN_PARAMETER = {
    "name": DRY_RUN,
    "in": "query",
    "description": "Answer as usual, but log nothing and count nothing as traffic.",
    "schema": {"type": "boolean", "default": False},
}


def _explain_parameter(description: str, *, default: bool) -> dict[str, Any]:
    schema = {"type": "boolean", "default": default}
    return {"name": EXPLAIN, "in": "query", "description": description, "schema": schema}


EXPLAIN_PARAMETERS = {
    Prediction: _explain_parameter("Answer with band and reasons, too.", default=False),
    Predictions: _explain_parameter(
        f"Answer with bands and reasons, too; at most the {MAX_EXPLAINED} records of an array with "
        "the highest probabilities get reasons.",
        default=False,
    ),
    ScoredAuction: _explain_parameter(
        f"Answer with the reasons for what is to review or to block, at most the {MAX_EXPLAINED} "
        "with the highest probabilities.",
        default=True,
    ),
}

RECORD_EXAMPLE = {field.name: field.json_schema["examples"][0] for field in FIELDS}
AUCTION_EXAMPLE = {
    "auction": {
        "auction_id": "732",
        "seller_id": "k***s",
        "starting_price": 9.99,
        "opened_at": "2026-11-20T18:00:00Z",
        "closes_at": "2026-11-25T18:00:00Z",
        "item_category": "watches",
    },
    "bids": [
        {
            "bid_id": "90210",
            "bidder_id": "g***r",
            "amount": 12.5,
            "placed_at": "2026-11-21T09:30:00Z",
        }
    ],
}
LABEL_EXAMPLE = {"prediction_id": "01936a3c-5b1e-7c4d-9a2f-0d6e8b7c1f35", "is_shill": True}


class Operation(NamedTuple):
    """One operation of the API."""

    method: str
    path: str
    summary: str
    answers: Any
    """Type of the body of a success; a media type where it is not JSON of ours."""
    problems: tuple[str, ...] = ()
    takes: Any = None
    example: Any = None
    lines: str = ""
    """What JSON lines, where they are taken instead, say and get."""


def operations(max_batch_rows: int) -> tuple[Operation, ...]:
    """Return every operation of the API."""
    ready = ("not-ready",)
    return (
        Operation(
            "post",
            "/predict",
            "Score one record",
            Prediction,
            BODY_PROBLEMS + PREDICTION_PROBLEMS,
            Record,
            RECORD_EXAMPLE,
        ),
        Operation(
            "post",
            "/predict_batch",
            "Score an array of records, all or none",
            Predictions,
            LIST_PROBLEMS + PREDICTION_PROBLEMS,
            batch_type(max_batch_rows),
            [RECORD_EXAMPLE],
            "One Record a line, any number. Each is answered while more arrive, by a line with "
            "a Prediction or with the ProblemDetails of this record.",
        ),
        Operation(
            "post",
            "/score_auction",
            "Score each bidder of an auction from its bids until now",
            ScoredAuction,
            (*BODY_PROBLEMS, "too-many-rows", "contradiction", "no-profiles", *PREDICTION_PROBLEMS),
            AuctionWithBids,
            AUCTION_EXAMPLE,
        ),
        Operation(
            "post",
            "/feedback",
            "Label earlier predictions",
            FeedbackReceipt,
            (*LIST_PROBLEMS, "log-unavailable"),
            Feedback,
            {"labels": [LABEL_EXAMPLE]},
        ),
        Operation("get", "/health", "Is the process alive?", Health),
        Operation("get", "/ready", "Can it serve predictions?", Readiness, ready),
        Operation("get", "/model", "Describe the model in use", ModelDescription, ready),
        Operation("get", "/metrics", "Metrics of all workers, for Prometheus", TEXT),
        Operation("get", "/openapi.json", "This document", JSON),
        Operation("get", "/docs", "This document, for people", HTML),
        Operation("get", "/docs/errors", "Every kind of problem", HTML),
    )


def document(settings: Settings) -> bytes:
    """Return the OpenAPI document, as JSON, of a service with `settings`."""
    listed = operations(settings.max_batch_rows)
    schema_of, components = _schemas(listed)
    keys = settings.authentication == "keys"
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in listed:
        needs_key = keys and operation.path in NEEDED
        problems = operation.problems + (KEY_PROBLEMS if needs_key else ())
        described = _describe(operation._replace(problems=problems), schema_of)
        if needs_key:
            described["security"] = [{"key": [NEEDED[operation.path]]}]
        paths[operation.path][operation.method] = described
    security = {"securitySchemes": {"key": KEY_SCHEME}} if keys else {}
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Shill bidding API",
                "version": __version__,
                "description": "Tells how likely a bidder in an auction is a shill.",
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {"schemas": components} | security,
        }
    )


def _schemas(listed: Iterable[Operation]) -> tuple[Mapping[Any, Any], dict[str, Any]]:
    kinds = [ProblemDetails]
    for operation in listed:
        kinds += [kind for kind in (operation.answers, operation.takes) if not _is_text(kind)]
    schemas, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    return dict(zip(kinds, schemas, strict=True)), components


def _is_text(kind: Any) -> bool:
    return kind is None or isinstance(kind, str)


def _describe(operation: Operation, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    if _is_text(operation.answers):
        success: dict[str, Any] = {operation.answers: {}}
    else:
        success = {JSON: {"schema": schema_of[operation.answers]}}
    responses: dict[str, Any] = {"200": {"description": "Success", "content": success}}
    by_status = defaultdict(list)
    for name in operation.problems:
        by_status[PROBLEM_TYPES[name].status].append(name)
    problem = {PROBLEM_JSON: {"schema": schema_of[ProblemDetails]}}
    for status, names in sorted(by_status.items()):
        responses[str(status)] = {"description": ", ".join(names), "content": problem}
    description: dict[str, Any] = {
        "operationId": operation.path.strip("/").replace("/", "_").replace(".", "_"),
        "summary": operation.summary,
        "responses": responses,
    }
    if operation.takes is not None:
        parameters = [DRY_RUN_PARAMETER, EXPLAIN_PARAMETERS.get(operation.answers)]
        description["parameters"] = [parameter for parameter in parameters if parameter]
        body = {"schema": schema_of[operation.takes], "example": operation.example}
        content: dict[str, Any] = {JSON: body}
        if operation.lines:
            example = msgspec.json.Encoder().encode_lines(operation.example).decode()
            # No type: whatever a line says, it is answered.
            content[NDJSON] = {"schema": {"description": operation.lines}, "example": example}
            success[NDJSON] = {}
        description["requestBody"] = {"required": True, "content": content}
    return description
