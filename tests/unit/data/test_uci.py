import hashlib
import http.server
import io
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flask_app.data import uci
from flask_app.errors import DataError

CSV = b"Record_ID,Auction_ID\n1,732\n" * 1000
PIN = hashlib.sha256(CSV).hexdigest()

Serve = Callable[[bytes], str]


def _zip(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_csv", ".csv"), content)
    return buffer.getvalue()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serves a body at the address it returns; counts the requests."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(http.server.BaseHTTPRequestHandler):
        body = b""

        def do_GET(self) -> None:
            self.send_response(200 if self.body else 404)
            self.send_header("Content-Length", str(len(self.body)))
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def start(body: bytes) -> str:
        Handler.body = body
        return f"http://127.0.0.1:{server.server_port}/data.zip"

    yield start
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_csv_in_the_archive_is_cached(serve: Serve, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    path = uci.fetch(cache, url=serve(_zip(data_csv=CSV, readme=b"hello")), sha256=PIN)
    assert path.read_bytes() == CSV
    assert list(cache.iterdir()) == [path]


def test_a_cached_csv_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / uci.FILE_NAME).write_bytes(CSV)
    assert uci.fetch(tmp_path, url="http://127.0.0.1:1/", sha256=PIN).read_bytes() == CSV


def test_a_cached_csv_that_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / uci.FILE_NAME).write_bytes(CSV + b"x")
    with pytest.raises(DataError, match=rf"{uci.FILE_NAME}: sha256 of the CSV is .*: delete it"):
        uci.fetch(tmp_path, url="http://127.0.0.1:1/", sha256=PIN)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (_zip(data_csv=CSV + b"x"), f"sha256 of the CSV is .*, not {PIN}: set SHILL_DATASET"),
        (_zip(data_csv=CSV)[:-30], "not a whole zip archive .*: try again"),
        (_zip(readme=b"hello"), "holds 0 CSV files, not one: set SHILL_DATASET"),
        (_zip(a_csv=CSV, b_csv=CSV), "holds 2 CSV files, not one: set SHILL_DATASET"),
    ],
)
def test_a_wrong_archive_is_refused_and_leaves_nothing(
    serve: Serve, tmp_path: Path, body: bytes, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        uci.fetch(tmp_path, url=serve(body), sha256=PIN)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_server_is_told_apart_from_wrong_data(serve: Serve, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=r"data\.zip: HTTP Error 404"):
        uci.fetch(tmp_path, url=serve(b""), sha256=PIN)
    with pytest.raises(ConnectionError, match=r"http://127\.0\.0\.1:1/: .*refused"):
        uci.fetch(tmp_path, url="http://127.0.0.1:1/", sha256=PIN)


def test_a_cache_that_cannot_be_written_is_named(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/cache: Not a directory: .* SHILL_CACHE_DIR"):
        uci.fetch(tmp_path / "file" / "cache", url=serve(_zip(data_csv=CSV)), sha256=PIN)


def test_a_terminal_sees_a_progress_bar_and_a_log_does_not(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = serve(_zip(data_csv=CSV))
    shown = {}
    for terminal in (True, False):
        stream = io.StringIO()
        stream.isatty = lambda terminal=terminal: terminal  # type: ignore[method-assign,misc]
        monkeypatch.setattr(sys, "stderr", stream)
        uci.fetch(tmp_path / str(terminal), url=url, sha256=PIN)
        shown[terminal] = stream.getvalue()
    assert "UCI 562: 100%" in shown[True]
    assert shown[False] == ""
