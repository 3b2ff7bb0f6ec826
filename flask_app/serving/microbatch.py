"""Predictions whose requests arrive in the same turn of the event loop are scored together.

A request costs as many Python calls as it makes, more than it costs in scoring. What requests can
share they share: one array of features, one run of the model, one write to the log, one reading
of the clock. Nobody waits for company: what has arrived is scored in the turn in which it came, a
lone request at once.

When more arrive than can be scored in a turn they queue, and all else on the event loop has its
turn in between. A request that would have to wait too long is refused at once.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from flask_app.serving.problems import RETRY_AFTER, Problem
from flask_app.serving.service import PREDICT, Service

if TYPE_CHECKING:
    from flask_app.serving.problems import Response

MOST_AT_ONCE = 64
"""How many are scored in a turn, in 1 to 2 ms; sharing among more would save little."""
FIRST_PACE = 50e-6
"""Time from one answer to the next, s, until requests queue and it is measured."""
SHARE_OF_TIME = 0.5
"""What scoring takes of that time: reading requests and sending answers take the other half."""
PACE_WEIGHT = 0.1
"""How much the latest turn changes what is known of the pace."""


class _Request(NamedTuple):
    body: bytes
    began: float
    request_id: bytes
    answer: "asyncio.Future[Response]"


class MicroBatch:
    """The predictions that wait for their turn.

    Args:
        service: What answers them.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._operation = service.operations[PREDICT]
        self._waiting: deque[_Request] = deque()
        self._max_wait = service.settings.max_wait_seconds
        self._pace = FIRST_PACE
        self._overloaded = Problem(
            "overloaded",
            f"the prediction would wait longer than {self._max_wait:g} s for its turn",
            headers=RETRY_AFTER,
        )

    def answer(
        self, body: bytes, began: float, *, unseen: int, request_id: bytes = b""
    ) -> "asyncio.Future[Response]":
        """Return the answer to come for one record; it will be counted and timed.

        Args:
            body: The request's body.
            began: When the request began, by `time.perf_counter`.
            unseen: How many other requests have arrived that are still to be looked at.
            request_id: What the proxy in front calls it, for the log.
        """
        loop = asyncio.get_running_loop()
        waiting = self._waiting
        request = _Request(body, began, request_id, loop.create_future())
        if (len(waiting) + unseen) * self._pace > self._max_wait:
            response = self._service.refuse(self._operation, self._overloaded)
            self._answer([request], [response])
            return request.answer
        waiting.append(request)
        if not unseen and len(waiting) <= MOST_AT_ONCE:
            self._flush()
        elif len(waiting) == 1:
            loop.call_soon(self._flush)
        return request.answer

    def _flush(self) -> None:
        now = time.perf_counter()
        waiting = self._waiting
        requests = [waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(waiting)))]
        if waiting:  # and others have a turn before them
            asyncio.get_running_loop().call_soon(self._flush)
        if not requests:
            return
        # Who has waited too long after all, as when the machine stood still, is answered now.
        self._service.metrics.wait.observe_many([now - request.began for request in requests])
        responses = self._service.predict_each(
            [request.body for request in requests],
            request_ids=[request.request_id for request in requests],
        )
        self._answer(requests, responses)
        if waiting:
            pace = (time.perf_counter() - now) / MOST_AT_ONCE / SHARE_OF_TIME
            self._pace += (pace - self._pace) * PACE_WEIGHT
        else:  # nothing is left of a slow turn either
            self._pace = FIRST_PACE

    def _answer(self, requests: list[_Request], responses: Iterable["Response"]) -> None:
        now = time.perf_counter()
        seconds = defaultdict(list)
        for request, response in zip(requests, responses, strict=True):
            seconds[response.status].append(now - request.began)
            if not request.answer.done():  # its task was cancelled
                request.answer.set_result(response)
        for status, values in seconds.items():
            self._service.metrics.observe_requests(PREDICT, "POST", status, values)
