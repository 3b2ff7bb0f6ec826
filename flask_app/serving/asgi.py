"""The whole service as one ASGI application: what takes a body goes a short way, the rest is Flask.

Flask's dispatch costs more than decoding, scoring and logging a record together. The application
of `flask_app.serving.web` is complete; this one answers the routes that take a body itself, by the
same functions, and reads every body within the limits of size and time before anything is run.
"""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from flask import Flask

from flask_app.model.stores import open_store
from flask_app.profiles import snapshot as profiles
from flask_app.serving.access import NEEDED, Access
from flask_app.serving.messages import DRY_RUN
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.microbatch import MicroBatch
from flask_app.serving.ndjson import NDJSON
from flask_app.serving.problems import JSON, RETRY_AFTER, RETRY_SECONDS, Problem, Response
from flask_app.serving.service import (
    LARGE_BODY_BYTES,
    PREDICT,
    Operation,
    RequestHead,
    Service,
)
from flask_app.serving.service_log import REQUEST_ID
from flask_app.serving.web import create_flask_app
from flask_app.settings import Settings

Message = MutableMapping[str, Any]
Headers = dict[bytes, bytes]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DRY_RUN = DRY_RUN.encode()
_JSON = JSON.encode()
_REQUEST_ID = b"x-request-id"
_NOTHING = contextlib.nullcontext()

CLOSE = (b"connection", b"close")
LINGER_SECONDS = 2.0
GC_THRESHOLD = 50_000
"""Objects that are made before the garbage collector looks at them; after Python's own 700 it would
look at each few requests."""


class Application:
    """The ASGI application of one worker.

    Args:
        service: What answers the routes that take a body.
        flask_app: What answers all others.
    """

    def __init__(self, service: Service, flask_app: Flask) -> None:
        self._service = service
        self._unseen = 0
        # One after the other: interleaved, large bodies would take more memory, and longer.
        self._large = asyncio.Lock()
        self._predict = service.operations[PREDICT]
        self._micro_batch = MicroBatch(service)
        self._access = service.access
        self._flask: Any = WSGIMiddleware(cast(Any, flask_app), workers=4)
        # On the event loop, so that they never wait for a thread, and keys are checked in one.
        self._at_once = {
            "/health": service.health,
            "/ready": service.readiness,
            "/model": service.describe_model,
        }
        self._routes = {rule.rule for rule in flask_app.url_map.iter_rules() if not rule.arguments}
        self._max_body_bytes = service.settings.max_body_bytes
        self._small_body_bytes = min(LARGE_BODY_BYTES, self._max_body_bytes)
        self._max_inflight_bytes = service.settings.max_inflight_bytes
        self._inflight_bytes = 0
        self._body_seconds = service.settings.request_timeout_seconds

    def arrived(self) -> None:
        """Note a request for which this application is going to be called."""
        self._unseen += 1

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        began = time.perf_counter()
        self._unseen = max(self._unseen - 1, 0)
        is_post = scope["method"] == "POST"
        operation = self._service.operations.get(scope["path"]) if is_post else None
        headers = dict(scope["headers"])
        try:
            if (
                self._access
                and operation
                and (refusal := await self._admit(self._access, scope, headers, receive))
            ):
                status = await _respond(send, refusal)
            elif operation and operation.streams(_text(headers, b"content-type")):
                status = await self._stream(operation, _head(scope, headers), receive, send)
            else:
                body = await self._read(headers, receive)
                if operation is self._predict and _is_plain(scope, headers, body):
                    unseen = self._unseen
                    request_id = headers.get(_REQUEST_ID, b"")
                    response = await self._micro_batch.answer(
                        body, began, unseen=unseen, request_id=request_id
                    )
                    if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
                        # To refuse again and again would leave no time for answers.
                        scope.get("state", {})["pause"] = RETRY_SECONDS
                    await _respond(send, response)
                    return  # counted already
                status = await self._answer(operation, scope, headers, body, send)
        except Problem as problem:  # its body is not taken
            response = self._service.refuse(operation, problem) if operation else problem.response
            await _respond(send, response, CLOSE, more_body=True)
            self._observe(operation, scope, began, response.status)
            await _linger(receive)
            await send({"type": "http.response.body"})  # the server closes at the end of an answer
        else:
            self._observe(operation, scope, began, status)

    async def _admit(
        self, access: Access, scope: Message, headers: Headers, receive: Receive
    ) -> Response | None:
        """Check a request's key; returns the answer to one that may not ask.

        A short body is passed over, so that the connection stays; raises `Problem` for others.
        """
        try:
            access.admit(headers.get(b"authorization", b""), NEEDED[scope["path"]])
        except Problem as problem:
            if int(headers.get(b"content-length", self._max_body_bytes)) > self._small_body_bytes:
                raise
            await self._read(headers, receive)
            return self._service.refuse(self._service.operations[scope["path"]], problem)
        return None

    async def _other(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    async def _answer(
        self,
        operation: Operation | None,
        scope: Message,
        headers: Headers,
        body: bytes,
        send: Send,
    ) -> int:
        """Answer a request whose body has been read; returns the status."""
        REQUEST_ID.set(headers.get(_REQUEST_ID, b""))
        try:
            if operation:
                head = _head(scope, headers)
                async with self._large if len(body) > LARGE_BODY_BYTES else _NOTHING:
                    response = await self._service.answer(operation, body, head)
                return await _respond(send, response)
            if scope["method"] == "GET" and scope["path"] in self._at_once:
                return await _respond(send, self._describe(scope["path"], headers))
            return await self._run_flask(scope, body, send)
        finally:
            if len(body) > self._small_body_bytes:
                self._inflight_bytes -= len(body)

    def _describe(self, path: str, headers: Headers) -> Response:
        """Answer at once what takes no body."""
        try:
            if self._access and path in NEEDED:
                self._access.admit(headers.get(b"authorization", b""), NEEDED[path])
            return self._at_once[path]()
        except Problem as problem:
            return problem.response

    def _observe(
        self, operation: Operation | None, scope: Message, began: float, status: int
    ) -> None:
        """Time a request that has just been answered."""
        dry_run = operation is not None and _DRY_RUN in scope["query_string"]
        route = DRY_RUN if dry_run else self._route(scope["path"])
        seconds = time.perf_counter() - began
        self._service.metrics.observe_requests(route, scope["method"], status, [seconds])

    async def _stream(
        self, operation: Operation, head: RequestHead, receive: Receive, send: Send
    ) -> int:
        """Answer lines while more arrive; returns the status."""
        begun = False
        async for body in self._service.answer_lines(operation, self._chunks(receive), head):
            if not begun:  # until here a problem may have been raised
                begun = True
                await send(_start(200, NDJSON))
            await send({"type": "http.response.body", "body": body, "more_body": True})
        if not begun:
            await send(_start(200, NDJSON))
        await send({"type": "http.response.body"})
        return 200

    async def _chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        """Yield a body as it arrives; raises `Problem` if nothing does for too long."""
        more_body = True
        while more_body:
            try:
                async with asyncio.timeout(self._body_seconds):
                    message = await receive()
            except TimeoutError:
                raise self._body_timeout() from None
            more_body = message.get("more_body", False)  # none when the client has gone
            yield message.get("body", b"")

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
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
        raise self._body_timeout()

    def _body_timeout(self) -> Problem:
        return Problem("body-timeout", f"the body did not arrive within {self._body_seconds:g} s")

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

    async def _lifespan(self, scope: Message, receive: Receive, send: Send) -> None:
        scope.get("state", {})["arrived"] = self.arrived
        await receive()
        await asyncio.to_thread(self._service.start)
        # What is loaded now stays, and requests leave no cycles: collections find next to nothing.
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.to_thread(self._service.stop)
        await send({"type": "lifespan.shutdown.complete"})


def _head(scope: Message, headers: Headers) -> RequestHead:
    content_type, encoding = (_text(headers, b"content-" + name) for name in (b"type", b"encoding"))
    return RequestHead(content_type, encoding, scope["query_string"].decode("latin-1"))


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _is_plain(scope: Message, headers: Headers, body: bytes) -> bool:
    """Whether a request asks for nothing but its body's own answer, as nearly all do."""
    return (
        headers.get(b"content-type") == _JSON
        and not scope["query_string"]
        and b"content-encoding" not in headers
        and len(body) <= LARGE_BODY_BYTES
    )


def _start(status: int, content_type: str, *more: tuple[bytes, bytes]) -> Message:
    headers = [(b"content-type", content_type.encode()), *more]
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _respond(
    send: Send, response: Response, *more: tuple[bytes, bytes], more_body: bool = False
) -> int:
    length = (b"content-length", str(len(response.body)).encode())
    headers = [(name.encode(), value.encode()) for name, value in response.headers]
    await send(_start(response.status, response.content_type, length, *more, *headers))
    await send({"type": "http.response.body", "body": response.body, "more_body": more_body})
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
    service = Service(settings, open_store(settings), profiles.open_store(settings), metrics)
    return Application(service, create_flask_app(service))
