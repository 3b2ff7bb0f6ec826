"""Clients that ask the lab all the time, never twice for the same, and remember every answer."""

import http.client
import itertools
import json
import select
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from demo.lab import Lab

CLIENTS = 8
SECONDS = 30.0
RECORD = {
    "bidder_tendency": 0.31,
    "bidding_ratio": 0.45,
    "successive_outbidding": 1,
    "last_bidding": 0.62,
    "auction_bids": 0.3,
    "starting_price_average": 0.9,
    "early_bidding": 0.05,
    "winning_ratio": 0.9,
    "auction_duration": 7,
}
REFUSALS = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


@dataclass(frozen=True)
class Request:
    """One request and what became of it.

    Attributes:
        began: When it was sent, Unix time.
        seconds: Until its answer was read, or it failed.
        prediction_id: What was acknowledged; empty where nothing was.
        refused: Whether the answer was 429 or 503 with `Retry-After`.
        failure: What else became of it; empty where it was answered or refused.
    """

    began: float
    seconds: float
    prediction_id: str = ""
    refused: bool = False
    failure: str = ""


class Traffic:
    """Clients that have records scored; half keep their connection, half open one each time.

    Args:
        lab: Whom they ask.
        rate: Requests a second, of all of them together; 0: as fast as they are answered.
        clients: How many there are.
        bytes_: At least so many in each body.
    """

    def __init__(self, lab: Lab, rate: float, clients: int = CLIENTS, bytes_: int = 0) -> None:
        parts = urlsplit(lab.edge)
        self._address = (str(parts.hostname), parts.port)
        self._trusted = lab.trusted
        self._headers = {"Authorization": f"Bearer {lab.key}", "Content-Type": "application/json"}
        self._interval = clients / rate if rate else 0.0
        self._clients = clients
        self._bytes = bytes_
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self.requests: list[Request] = []

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Have the clients ask until the block ends."""
        clients = [
            threading.Thread(target=self._ask, args=(number % 2 == 0,), daemon=True)
            for number in range(self._clients)
        ]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            self._ended.set()
            for client in clients:
                client.join()

    def _ask(self, keep: bool) -> None:
        connection = http.client.HTTPSConnection(
            *self._address, timeout=SECONDS, context=self._trusted
        )
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._interval, time.monotonic())
            # As every client with a pool does: a connection that was closed is not used.
            if connection.sock and select.select([connection.sock], [], [], 0)[0]:
                connection.close()
            request = self._request(connection)
            self.requests.append(request)
            if not keep or request.failure:
                connection.close()
        connection.close()

    def _request(self, connection: http.client.HTTPSConnection) -> Request:
        body = json.dumps({"auction_id": f"drill-{next(self._numbers)}", **RECORD}).ljust(
            self._bytes
        )
        began, clock = time.time(), time.monotonic()
        prediction_id, refused, failure = "", False, ""
        try:
            connection.request("POST", "/predict", body, self._headers)
            response = connection.getresponse()
            content = response.read()
            if response.status == HTTPStatus.OK:
                prediction_id = json.loads(content)["prediction_id"]
            elif response.status in REFUSALS and response.headers["Retry-After"]:
                refused = True
            else:
                failure = f"{response.status} {content.decode()}"
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            failure = repr(error)
        return Request(began, time.monotonic() - clock, prediction_id, refused, failure)
