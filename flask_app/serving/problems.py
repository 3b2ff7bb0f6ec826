"""Every way a request can fail, as RFC 9457 problem details.

One table feeds the answers, the OpenAPI document, `/docs/errors` and `docs/api.md`. A problem's
`type` is a link to its entry in `/docs/errors`; its name is the `reason` label of the metrics.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec

logger = logging.getLogger(__name__)

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 1
RETRY_AFTER = (("Retry-After", str(RETRY_SECONDS)),)
"""What goes with a refusal that another second may change."""


class Response(NamedTuple):
    """An HTTP response, for whichever server interface is to send it."""

    body: bytes
    status: int = 200
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class ProblemType(NamedTuple):
    """One kind of problem."""

    status: int
    title: str
    remedy: str


PROBLEM_TYPES: Mapping[str, ProblemType] = {
    # What a body contains.
    "malformed-json": ProblemType(
        400, "The body is not JSON", "Send one JSON document (RFC 8259) in UTF-8."
    ),
    "unknown-field": ProblemType(422, "A field is unknown", "Remove it, or correct its name."),
    "missing-field": ProblemType(422, "A field is missing", "Add it."),
    "duplicate-key": ProblemType(422, "A key is given more than once", "Give each key once."),
    "wrong-type": ProblemType(422, "A value has the wrong type", "Send the type that is named."),
    "not-a-number": ProblemType(
        422, "A value is NaN", "Send a number, or leave the record out: JSON has no NaN."
    ),
    "infinite-number": ProblemType(
        422, "A value is infinite", "Send a number that a 64-bit float can hold."
    ),
    "out-of-range": ProblemType(422, "A number is out of range", "Send a number within the range."),
    "wrong-length": ProblemType(
        422, "A string is too short or too long", "Send a length within limits."
    ),
    "wrong-format": ProblemType(
        422, "A string has the wrong format", "Send the format that is named."
    ),
    "contradiction": ProblemType(
        422, "Values contradict each other or the clock", "Correct one of those that are named."
    ),
    "empty-batch": ProblemType(422, "A list has no items", "Send at least one."),
    "too-many-rows": ProblemType(
        422, "A list has too many items", "Split it into several requests."
    ),
    "too-many-values": ProblemType(
        422,
        "The body is wrong, and too large to say what is wrong with it",
        "Send fewer items at once, or compare one with /openapi.json.",
    ),
    "invalid-body": ProblemType(
        422, "The body has several kinds of problems", "Correct each of `errors`, by its type."
    ),
    # How it is sent.
    "bad-request": ProblemType(400, "The request is malformed", "Correct what the detail names."),
    "unauthenticated": ProblemType(
        401,
        "The request has no key that is in force",
        "Send `Authorization: Bearer KEY`; `python -m flask_app keys create` makes a key.",
    ),
    "forbidden": ProblemType(
        403, "The key may not ask for this", "Use a key with the scope that the detail names."
    ),
    "not-found": ProblemType(
        404, "There is no such resource", "See /openapi.json for those there are."
    ),
    "method-not-allowed": ProblemType(
        405, "The resource does not support this method", "Use one that the Allow header lists."
    ),
    "body-timeout": ProblemType(
        408, "The body did not arrive in time", "Send it faster, or in several requests."
    ),
    "body-too-large": ProblemType(413, "The body is too large", "Split it into several requests."),
    "unsupported-media-type": ProblemType(
        415, "The body's media type is not supported", "Send application/json, not encoded."
    ),
    "rate-limited": ProblemType(
        429,
        "The key asks too often",
        "Try again after the seconds that the Retry-After header names, or get a key with a "
        "higher rate.",
    ),
    # What the server lacks.
    "internal-error": ProblemType(
        500, "The server failed", "Try again; if it persists, see the service's log."
    ),
    "invalid-score": ProblemType(
        500,
        "The model's score is not a probability",
        "Report it; nothing was logged. Another model may score the record: see /model.",
    ),
    "overloaded": ProblemType(
        503,
        "The server has more requests than it can answer",
        "Try again after the seconds that the Retry-After header names.",
    ),
    "not-ready": ProblemType(503, "The server is not ready", "Try again when /ready answers 200."),
    "no-profiles": ProblemType(
        503,
        "No profiles of bidders are loaded",
        "Make and promote them: `python -m flask_app profiles make`; /predict needs none.",
    ),
    "log-unavailable": ProblemType(
        503, "The label log cannot be written", "Try again; nothing was recorded."
    ),
}


class FieldError(msgspec.Struct, frozen=True):
    """One thing wrong with a body."""

    pointer: str
    """JSON pointer (RFC 6901) to the value, or to where it should be."""
    type: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every answer that is not a success."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    """What is wrong with the body, each by itself; at most 100."""
    omitted_errors: int = 0
    """How many more there are."""


def type_uri(name: str) -> str:
    """Return the `type` of the problem `name`: a link, relative to the server."""
    return f"/docs/errors#{name}"


class Problem(Exception):  # noqa: N818 - its name in RFC 9457
    """Ends a request with problem details.

    Args:
        name: A key of `PROBLEM_TYPES`.
        detail: What is wrong in this request, with the value seen.
        errors: What is wrong with the body, each by itself.
        omitted_errors: How many more there are.
        headers: Headers that this answer needs.
    """

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        omitted_errors: int = 0,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.name = name
        self._details = ProblemDetails(
            type=type_uri(name),
            title=PROBLEM_TYPES[name].title,
            status=PROBLEM_TYPES[name].status,
            detail=detail,
            errors=list(errors),
            omitted_errors=omitted_errors,
        )
        self._headers = headers

    @property
    def response(self) -> Response:
        """The answer to send."""
        details = self._details
        return Response(msgspec.json.encode(details), details.status, PROBLEM_JSON, self._headers)


def name_of_status(status: int) -> str:
    """Return the kind of problem that a bare HTTP status stands for."""
    names = {404: "not-found", 405: "method-not-allowed", 408: "body-timeout"}
    names |= {413: "body-too-large", 415: "unsupported-media-type", 503: "not-ready"}
    return names.get(
        status, "bad-request" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal-error"
    )


def problem_of(error: Exception) -> Problem:
    """Return the problem that `error` is; what is none is logged, and a failed request."""
    if isinstance(error, Problem):
        return error
    logger.error("a request failed", exc_info=error)
    return Problem("internal-error", "the request failed")
