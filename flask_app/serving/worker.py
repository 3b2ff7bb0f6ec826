"""Gunicorn's workers: uvicorn's server, on uvloop and httptools."""

from asyncio import AbstractEventLoop, BaseTransport, Transport
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState
from uvicorn_worker import UvicornWorker

from flask_app.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TARGET_BYTES = 4096
MAX_FIELDS = 100
MAX_HEAD_BYTES = 2**16
HEAD_LIMITS = (
    f"The request's head is too large: send a target of {MAX_TARGET_BYTES} bytes, "
    f"{MAX_FIELDS} header fields and {MAX_HEAD_BYTES} bytes in all at most."
)
DRAIN_SECONDS = 1.0
"""How long a worker that stops waits for a request that may be under way to it."""
CLOSING_SECONDS = 5
"""What it keeps of Gunicorn's graceful_timeout to close the logs in, before it is killed."""

_FINAL = tuple(b"HTTP/1.1 %d" % kind for kind in (2, 3, 4, 5))
"""What heads begin with, other than that of 100 Continue."""


class OneWrite:
    """A transport that sends the head of an answer together with the beginning of its body.

    uvicorn writes them one after the other and uvloop sends each at once, at the price of a system
    call and of waking the client twice.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        """Do everything else as the transport does."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data`, which belongs to a body if a head waits for it."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_FINAL):
            self._head = data
            return
        self._transport.write(data)

    def end(self) -> None:
        """Send a head that has no body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Send what waits, and close."""
        self.end()
        self._transport.close()


class Connection(HttpToolsProtocol):
    """A client's connection, within limits that uvicorn does not have.

    uvicorn takes heads of any size, waits for them without end, and, when it stops, closes idle
    connections on which a request may be under way.

    Args:
        head_seconds: How long a request's head may take to arrive, s.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        head_seconds: float,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._arrived: Callable[[], None] = app_state["arrived"]
        self._head_seconds = head_seconds
        self._head_bytes = 0
        self._head_deadline = 0.0
        self._draining = False
        self._too_large = False

    def connection_made(self, transport: BaseTransport) -> None:
        """Await the first request."""
        super().connection_made(cast(Transport, OneWrite(cast(Transport, transport))))
        self._await_head(0)

    def data_received(self, data: bytes) -> None:
        """Parse `data`, and go on waiting if it does not complete a request's head."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._await_head(len(data))

    def on_headers_complete(self) -> None:
        """Start to answer a request; an error raised here refuses it with 400."""
        if len(self.url) > MAX_TARGET_BYTES or len(self.headers) > MAX_FIELDS:
            self._too_large = True
            raise ValueError(HEAD_LIMITS)
        self._head_bytes = 0
        super().on_headers_complete()
        if self._draining:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._arrived()  # before any of the requests that are read in this turn is looked at
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Send what is left of the answer; read on, unless the application asks for a pause."""
        cast(OneWrite, self.transport).end()
        super().on_response_complete()
        pause = self.cycle.scope["state"].get("pause")
        if pause:
            self.flow.pause_reading()
            self.loop.call_later(pause, self.flow.resume_reading)

    def shutdown(self) -> None:
        """Close once the request under way, or one that arrives soon, has been answered."""
        self._draining = True
        if self.cycle is None or self.cycle.response_complete:
            self._close_in(DRAIN_SECONDS)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, or one whose head is too large."""
        super().send_400_response(HEAD_LIMITS if self._too_large else msg)

    def _await_head(self, arrived: int) -> None:
        """Close if the head, of which so many more bytes have arrived, gets too late or large."""
        if self._head_bytes == 0:
            self._head_deadline = self.loop.time() + self._head_seconds
        self._head_bytes += arrived
        if self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response(HEAD_LIMITS)
        elif not self.transport.is_closing():
            self._close_in(self._head_deadline - self.loop.time())

    def _close_in(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )


class Worker(UvicornWorker):  # type: ignore[misc]
    """Serves each connection by `Connection`."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "ws": "none",
        "interface": "asgi3",
        "lifespan": "on",
        "access_log": False,  # shill_http_request_duration_seconds counts and times every request
        "proxy_headers": False,  # whoever connects is the client: no header may claim otherwise
        "server_header": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        head_seconds = Settings.from_environment().request_timeout_seconds
        self.config.http = partial(Connection, head_seconds=head_seconds)
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout - CLOSING_SECONDS
