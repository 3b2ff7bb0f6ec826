"""AWS on this machine, by moto's server."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AMIS = Path(__file__).parent / "terraform" / "amis.json"


@contextmanager
def moto_server(address: str = "127.0.0.1") -> Iterator[str]:
    """Run an AWS with Debian's machine images and nothing else; yields its URL.

    Args:
        address: One of this machine's, such as one that containers reach.
    """
    with socket.create_server((address, 0)) as free:
        port = free.getsockname()[1]
    url = f"http://{address}:{port}"
    command = [sys.executable, "-m", "moto.server", "--host", address, "--port", str(port)]
    environment = os.environ | {"MOTO_AMIS_PATH": str(AMIS)}
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            while not _answers(url):
                log.seek(0)
                assert server.poll() is None, log.read()
                time.sleep(0.1)
            yield url
        finally:
            server.kill()


def _answers(url: str) -> bool:
    without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
        without_proxy.open(f"{url}/moto-api/", timeout=5).close()
        return True
    return False
