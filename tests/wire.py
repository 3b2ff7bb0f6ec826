"""The way to a server, which can be cut."""

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class Wire:
    """Takes connections and passes on what they carry; it can be cut, in two ways.

    Attributes:
        url: Where it takes connections, at the same address as what is behind it.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname
        assert parts.port
        self._target = (parts.hostname, parts.port)
        with socket.create_server((parts.hostname, 0)) as free:
            self._here: tuple[str, int] = free.getsockname()
        self.url = f"http://{self._here[0]}:{self._here[1]}"
        self._silent = threading.Event()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.mend()

    def refuse(self) -> None:
        """Cut it so that every connection breaks and none is taken."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def silence(self) -> None:
        """Cut it so that connections are taken and never answered."""
        self._silent.set()

    def mend(self) -> None:
        """Make it whole."""
        self._silent.clear()
        if self._listener is None:
            self._listener = socket.create_server(self._here)
            threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=[near], daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._target) as far:
            self._open |= {near, far}
            back = threading.Thread(target=self._pass_on, args=[far, near], daemon=True)
            back.start()
            self._pass_on(near, far)
            back.join()
            self._open -= {near, far}

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if not self._silent.is_set():
                    sink.sendall(chunk)
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
