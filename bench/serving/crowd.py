"""A crowd of clients, as a process of its own: `python -m bench.serving.crowd --help`.

wrk tells neither refusals from answers nor the time that a request was late. Each client here has a
connection and sends a body as soon as the last is answered, or at its times where a rate is given;
after a refusal it waits for as long as Retry-After says. Without bodies it asks by GET. Prints one
JSON object.
"""

import argparse
import asyncio
import json
import os
import re
import ssl
import time
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import numpy as np
import uvloop

RETRY_AFTER = re.compile(rb"\r\nretry-after: (\d+)", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Client(asyncio.Protocol):
    """Sends one request after the other.

    Args:
        requests: What to send, in turn.
        number: Which of the clients this is.
        interval: Time from one request to the next, s; 0: as soon as the last is answered.
        taken: Where to put (status, s) of each answer; the time counts from when it was due.
    """

    def __init__(
        self,
        requests: list[bytes],
        number: int,
        interval: float,
        taken: list[tuple[int, float]],
    ) -> None:
        self._requests = requests
        self._turn = count(number)
        self._interval = interval
        self._taken = taken
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._due = time.perf_counter()
        self._send()

    def _send(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._requests[next(self._turn) % len(self._requests)])

    def data_received(self, data: bytes) -> None:
        """Note an answer once it is complete, and send the next request when it is due."""
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        self._received = b""
        now = time.perf_counter()
        status = int(head[9:12])
        self._taken.append((status, now - self._due))
        retry = RETRY_AFTER.search(head)
        if retry:
            self._due = now + int(retry[1])
        else:
            self._due = self._due + self._interval if self._interval else now
        if self._due <= now:
            self._send()
        else:
            self._loop.call_later(self._due - now, self._send)


async def crowd(
    url: str,
    bodies: Path | None,
    clients: int,
    rate: float,
    seconds: float,
    *,
    key: str = "",
    authority: Path | None = None,
) -> dict[str, float]:
    """Let `clients` send for `seconds`, at `rate` requests/s in all if it is not 0.

    Args:
        url: Whom they ask.
        bodies: A file with a body in each line.
        clients: How many connections there are.
        rate: See above.
        seconds: See above.
        key: Of the API, where it needs one.
        authority: PEM file of what vouches for an https URL.

    Returns:
        Answers (200) and refusals (503) a second, percentiles of the time each took, ms, and how
        often each status came, by "status_200" and so on.
    """
    target = urlsplit(url)
    requests = [f"GET {target.path} HTTP/1.1\r\nHost: crowd\r\n\r\n".encode()]
    if bodies:
        head = f"POST {target.path} HTTP/1.1\r\nHost: crowd\r\nContent-Type: application/json\r\n"
        if key:
            head += f"Authorization: Bearer {key}\r\n"
        requests = [
            f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
            for body in bodies.read_bytes().splitlines()
        ]
    taken: list[tuple[int, float]] = []
    loop = asyncio.get_running_loop()
    interval = clients / rate if rate else 0.0
    transports = []
    for number in range(clients):
        transport, _ = await loop.create_connection(
            partial(Client, requests, number, interval, taken),
            str(target.hostname),
            int(target.port or 80),
            ssl=ssl.create_default_context(cafile=authority) if authority else None,
        )
        transports.append(transport)
    taken.clear()  # what was answered while others were still connecting
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took, noted = time.perf_counter() - began, list(taken)
    for transport in transports:
        transport.abort()
    answers = np.array([spent for status, spent in noted if status == 200])
    refusals = np.array([spent for status, spent in noted if status == 503])
    return {
        "answered_per_second": len(answers) / took,
        "refused_per_second": len(refusals) / took,
        "answer_p50_ms": _percentile(answers, 50),
        "answer_p99_ms": _percentile(answers, 99),
        "refusal_p99_ms": _percentile(refusals, 99),
        **Counter(f"status_{status}" for status, _ in noted),
    }


def _percentile(seconds: "np.typing.NDArray[np.float64]", percentile: float) -> float:
    return 1e3 * float(np.percentile(seconds, percentile)) if len(seconds) else 0.0


def main() -> None:
    """Run a crowd."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("bodies", type=Path, nargs="?")
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--core", type=int)
    parser.add_argument("--key-file", type=Path)
    parser.add_argument("--authority", type=Path)
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    figures = uvloop.run(
        crowd(
            *(options.url, options.bodies, options.clients, options.rate, options.seconds),
            key=options.key_file.read_text().strip() if options.key_file else "",
            authority=options.authority,
        )
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
