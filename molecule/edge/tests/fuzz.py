"""Sends the edge what no client should: run on its host, with a seed and a number of cases.

Each case is a connection: a request that a grammar of mistakes has bent (lengths that lie, lengths
twice, odd encodings, bytes where none belong, bodies that come slowly or never), then a plain one.
Bodies hold a request for /smuggled, which only a server that took the end of a body for elsewhere
than the edge did would see. Prints, as JSON, how often each status came and what must never be:
answers to a request of another connection, an answer twice, a request smuggled, a status that no
limit explains. Standard library only.
"""

import asyncio
import json
import random
import re
import ssl
import sys
from collections import Counter

AT_ONCE = 48
SECONDS = 8.0
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n")
MARKER = re.compile(rb'"path": "/\w+\?case=(\d+)"')
FRAMING = (
    "Content-Length: {size}",
    "Content-Length: {less}",
    "Content-Length: {more}",
    "Content-Length: -1",
    "Content-Length: +{size}",
    "Content-Length: 0x10",
    "Content-Length: {size}, {size}",
    "Content-Length: 99999999999999999999",
    "Content-Length : {size}",
    " Content-Length: {size}",
    "Content-Length:\t{size}",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity",
    "Transfer-Encoding:\x0bchunked",
    "Transfer-Encoding : chunked",
    "transfer-encoding: CHUNKED",
    "X: y\r\n\tTransfer-Encoding: chunked",
)
OTHERS = (
    "Host: other",
    "Host: localhost\x00",
    "X-Request-Id: 1\r2",
    "Connection: close",
    "Connection: Content-Length",
    "Connection: Transfer-Encoding, keep-alive",
    "Expect: 100-continue",
    "Expect: nonsense",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
    "X-Forwarded-For: " + "1, " * 200,
    "Cookie: " + "c" * 9000,
    "\x80\xff: \x80",
    ": empty",
    "no colon",
    "",
)
METHODS = ("POST", "GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "post", "P\x00ST", "A" * 100)
VERSIONS = ("HTTP/1.1",) * 6 + ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.10", "http/1.1", "")
PATHS = (
    "/predict",
    "/predict_batch",
    "/feedback",
    "/model",
    "//predict",
    "/predict/..",
    "/%70redict",
)


def bent(draw: random.Random, case: int) -> bytes:
    """Return a request that is wrong in one way or in several."""
    chunks = "".join(
        f"{draw.choice((f'{len(part):x}', f'{len(part):X};a=b', '0x5', '-1', 'zz'))}\r\n{part}\r\n"
        for part in draw.choices((SMUGGLED, "x" * 5, ""), k=draw.randint(0, 3))
    )
    body = draw.choice(
        (SMUGGLED, f"0\r\n\r\n{SMUGGLED}", chunks + "0\r\n\r\n", chunks, "x" * 20, "")
    )
    size = len(body)
    lengths = {"size": size, "less": max(0, size - 5), "more": size + 50}
    lines = [line.format(**lengths) for line in draw.choices(FRAMING, k=draw.randint(0, 2))]
    lines += draw.choices(OTHERS, k=draw.randint(0, 2))
    draw.shuffle(lines)
    path = f"{draw.choice(PATHS)}?case={case}"
    head = f"{draw.choice(METHODS[: draw.choice((1, 2, 9))])} {path} {draw.choice(VERSIONS)}"
    end = draw.choice(("\r\n",) * 9 + ("\n",))
    return (end.join([head, "Host: localhost", *lines, "", ""]) + body).encode("latin-1")


async def send(case: int, seed: int, trust: ssl.SSLContext, found: Counter[str]) -> None:
    """Send one case, and look at all that comes back until the edge closes."""
    draw = random.Random(f"{seed} {case}")  # noqa: S311
    first, plain = 2 * case, 2 * case + 1
    request = bent(draw, first)
    last = (
        f"GET /ready?case={plain} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    reader, writer = await asyncio.open_connection("localhost", 443, ssl=trust)
    try:
        cut = draw.randint(1, len(request)) if draw.random() < 0.2 else 0
        for part in (request[:cut], request[cut:], last):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01 if cut else 0)
        answer = await asyncio.wait_for(reader.read(-1), SECONDS)
    except (ConnectionError, ssl.SSLError):
        found["closed"] += 1
        return
    except TimeoutError:
        found["never closed"] += 1
        return
    finally:
        writer.close()
    for status in STATUS.findall(answer):
        found[status.decode()] += 1
    answered = [int(marker) for marker in MARKER.findall(answer)]
    found["answered twice"] += len(answered) - len(set(answered))
    found["answers of others"] += len(set(answered) - {first, plain})


async def main(seed: int, cases: int) -> dict[str, int]:
    """Send them all; return what came of it."""
    trust = ssl.create_default_context(cafile="/etc/shill-edge/authority.pem")
    found: Counter[str] = Counter()
    numbers = iter(range(cases))

    async def client() -> None:
        for case in numbers:
            await send(case, seed, trust, found)

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return found


print(json.dumps(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))))  # noqa: T201
