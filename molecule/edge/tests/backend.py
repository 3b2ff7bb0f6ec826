"""What stands behind the edge in the tests: it answers with the request that it got.

`/predict` with `?status=503` answers so, with a Retry-After of its own; `?wait=S` waits. Standard
library only: it runs on the host.
"""

import http.server
import json
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

smuggled: list[str] = []
"""Paths that the edge would never have passed on."""


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it got."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(float(asked.get("wait", ["0"])[0]))
        if self.path.startswith("/smuggled"):
            smuggled.append(self.path)
        seen = {
            "path": self.path,
            "headers": dict(self.headers),
            "bytes": len(body),
            "port": self.server.server_address[1],
            "smuggled": len(smuggled),
        }
        content = json.dumps(seen).encode()
        status = int(asked.get("status", ["200"])[0])
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            self.send_header("Retry-After", "7")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def __getattr__(self, name: str) -> Any:
        """Answer to every method alike."""
        if name.startswith("do_"):
            return self.do_GET
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Be silent."""


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
