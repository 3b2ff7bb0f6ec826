"""Gunicorn's ASGI worker, with a deadline for the first request of a connection."""

from asyncio import BaseTransport

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.workers import gasgi

from flask_app.settings import Settings


class Connection(ASGIProtocol):  # type: ignore[misc]
    """A connection that is closed if its first request's headers do not arrive in time.

    Gunicorn's own timer, `keepalive`, begins with the wait for the second request.
    """

    def connection_made(self, transport: BaseTransport) -> None:
        """Start the timer that the arrival of complete headers cancels."""
        super().connection_made(transport)
        self._keepalive_handle = self.worker.loop.call_later(
            self.worker.first_request_seconds, self._keepalive_timeout
        )


class Worker(gasgi.ASGIWorker):  # type: ignore[misc]
    """Serves each connection by `Connection`.

    Attributes:
        first_request_seconds: How long the first request's headers may take to arrive, s.
    """

    def init_process(self) -> None:
        """Run this worker until it is told to stop."""
        self.first_request_seconds = Settings.from_environment().request_timeout_seconds
        gasgi.ASGIProtocol = Connection  # the name by which the worker makes its connections
        super().init_process()
