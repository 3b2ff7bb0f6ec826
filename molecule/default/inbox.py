#!/usr/bin/env python3
"""The lab's inbox: keeps what Alertmanager's webhook sends, one notification a line.

It stands for the on-call service of a company; see inbox.yml.
"""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Inbox(BaseHTTPRequestHandler):
    """Appends each notification to the file it was started with."""

    def do_POST(self) -> None:
        """Keep one notification."""
        notification = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        line = json.dumps(notification, separators=(",", ":")) + "\n"
        file = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(file, line.encode())
        os.close(file)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Inbox).serve_forever()
