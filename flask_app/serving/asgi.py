"""The whole service as one ASGI application: what takes a body goes a short way, the rest is Flask.

Flask's dispatch costs more than decoding, scoring and logging a record together. The application
of `flask_app.serving.web` is complete; this one answers the routes that take a body itself, by the
same functions, and reads every body within the limits of size and time before anything is run.
"""

import asyncio
import contextlib
import gc
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from flask import Flask

from flask_app.model.stores import open_store
from flask_app.serving.messages import DRY_RUN
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.problems import Problem, Response
from flask_app.serving.service import Operation, RequestHead, Service
from flask_app.serving.web import create_flask_app
from flask_app.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DRY_RUN = DRY_RUN.encode()

SERVER = (b"server", b"shill")
CLOSE = (b"connection", b"close")
LINGER_SECONDS = 2.0
LARGE_BODY_BYTES = 64 * 2**10
"""Bodies beyond this are scored in a thread, so that the event loop goes on with small ones. They
count as in flight until they are answered; a small one is answered in the turn in which it came."""
RETRY_AFTER = (("Retry-After", "1"),)


class Application:
    """The ASGI application of one worker.

    Args:
        service: What answers the routes that take a body.
        flask_app: What answers all others.
    """

    def __init__(self, service: Service, flask_app: Flask) -> None:
        self._service = service
        self._flask: Any = WSGIMiddleware(cast(Any, flask_app), workers=4)
        self._routes = {rule.rule for rule in flask_app.url_map.iter_rules() if not rule.arguments}
        # One thread each: of the documents that are taken apart, one is in memory at a time.
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large-body")
        self._durable = ThreadPoolExecutor(1, thread_name_prefix="durable")
        self._max_body_bytes = service.settings.max_body_bytes
        self._small_body_bytes = min(LARGE_BODY_BYTES, self._max_body_bytes)
        self._max_inflight_bytes = service.settings.max_inflight_bytes
        self._inflight_bytes = 0
        self._body_seconds = service.settings.request_timeout_seconds

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        method, path = scope["method"], scope["path"]
        headers = dict(scope["headers"])
        operation = self._service.operations.get(path) if method == "POST" else None
        body = b""
        unread = False
        try:
            body = await self._read(headers, receive)
        except Problem as problem:
            unread = True
            response = self._service.refuse(operation, problem) if operation else problem.response
            status = await _respond(send, response, CLOSE)
        else:
            try:
                if operation:
                    response = await self._answer(operation, body, headers, scope["query_string"])
                    status = await _respond(send, response)
                else:
                    status = await self._run_flask(scope, body, send)
            finally:
                if len(body) > self._small_body_bytes:
                    self._inflight_bytes -= len(body)
        seconds = time.perf_counter() - began
        route = DRY_RUN if operation and _DRY_RUN in scope["query_string"] else self._route(path)
        self._service.metrics.observe_request(route, method, status, seconds)
        if unread:
            await _linger(receive)

    async def _answer(
        self, operation: Operation, body: bytes, headers: dict[bytes, bytes], query: bytes
    ) -> Response:
        """Run an operation, away from the event loop if it is going to take long."""
        head = RequestHead(
            headers.get(b"content-type", b"").decode("latin-1"),
            headers.get(b"content-encoding", b"").decode("latin-1"),
            query.decode("latin-1"),
        )
        answer = partial(self._service.answer, operation, body, head)
        if operation.waits_for_disk:
            return await asyncio.get_running_loop().run_in_executor(self._durable, answer)
        if len(body) <= LARGE_BODY_BYTES:
            return answer()
        return await asyncio.get_running_loop().run_in_executor(self._large, answer)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """Read the body; raises `Problem` for one beyond the limits."""
        if int(headers.get(b"content-length", 0)) > self._max_body_bytes:
            raise self._too_large()
        message = await receive()
        body: bytes = message.get("body", b"")
        complete = message["type"] == "http.request" and not message.get("more_body")
        if complete and len(body) <= self._small_body_bytes:
            return body  # nearly always: spare it timer and account
        held = 0
        try:
            async with asyncio.timeout(self._body_seconds):
                chunks = []
                while message["type"] == "http.request":
                    chunks.append(message["body"])
                    held += self._hold(len(message["body"]), held)
                    if not message.get("more_body"):
                        if held > self._small_body_bytes:
                            held = 0  # the account goes on until the answer
                        return b"".join(chunks)
                    message = await receive()
        except TimeoutError:
            pass
        finally:
            self._inflight_bytes -= held
        # Also when the client has gone: nobody sees it then.
        raise Problem("body-timeout", f"the body did not arrive within {self._body_seconds:g} s")

    def _hold(self, size: int, held: int) -> int:
        """Take `size` more bytes of a body, of which `held` are there; returns `size`."""
        if held + size > self._max_body_bytes:
            raise self._too_large()
        if self._inflight_bytes + size > self._max_inflight_bytes:
            detail = (
                f"this worker holds {self._inflight_bytes} bytes of request bodies, and "
                f"{self._max_inflight_bytes} at most"
            )
            raise Problem("overloaded", detail, headers=RETRY_AFTER)
        self._inflight_bytes += size
        return size

    def _too_large(self) -> Problem:
        return Problem("body-too-large", f"the body exceeds {self._max_body_bytes} bytes")

    async def _run_flask(self, scope: Message, body: bytes, send: Send) -> int:
        """Let Flask answer; returns the status."""
        status = 0

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def relay(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append(SERVER)
            await send(message)

        framing = {b"content-length", b"transfer-encoding"}
        headers = [header for header in scope["headers"] if header[0] not in framing]
        headers.append((b"content-length", str(len(body)).encode()))
        await self._flask({**scope, "headers": headers}, receive, relay)
        return status

    def _route(self, path: str) -> str:
        """Return the label for `path`, of which there is only a fixed set."""
        if path in self._routes:
            return path
        return "/docs/*" if path.startswith("/docs/") else "unknown"

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.to_thread(self._service.start)
        gc.freeze()  # what is loaded now stays: no collection needs to look at it again
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._large.shutdown()
        self._durable.shutdown()
        await asyncio.to_thread(self._service.stop)
        await send({"type": "lifespan.shutdown.complete"})


async def _respond(send: Send, response: Response, *more: tuple[bytes, bytes]) -> int:
    headers = [
        (b"content-type", response.content_type.encode()),
        (b"content-length", str(len(response.body)).encode()),
        SERVER,
        *more,
        *((name.encode(), value.encode()) for name, value in response.headers),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
    return response.status


async def _linger(receive: Receive) -> None:
    """Let a client that is still sending finish: a reset would lose it the answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body"):
                pass


def create() -> Application:
    """Make the application of a Gunicorn worker, as the environment describes it."""
    settings = Settings.from_environment()
    metrics = ServiceMetrics(settings.metrics_dir)
    service = Service(settings, open_store(settings), metrics)
    return Application(service, create_flask_app(service))
