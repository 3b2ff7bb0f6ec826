"""UCI 562, the Shill Bidding Dataset (CC BY 4.0, doi 10.24432/C5Z611), from UCI's archive."""

import contextlib
import hashlib
import io
import os
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path

from tqdm import tqdm

from flask_app.data.dataset import UCI_SHA256
from flask_app.errors import DataError

URL = "https://archive.ics.uci.edu/static/public/562/shill+bidding+dataset.zip"
"""A zip archive with one CSV."""

FILE_NAME = "shill_bidding_uci562.csv"
_TIMEOUT_SECONDS = 15.0
_CHUNK_BYTES = 16 * 1024


def fetch(cache_dir: Path, *, url: str = URL, sha256: str = UCI_SHA256) -> Path:
    """Download the CSV into `cache_dir` unless it is there; the file appears whole or not at all.

    Args:
        cache_dir: Made if it is absent.
        url: Of the archive.
        sha256: Pins the CSV, in the cache as well.

    Returns:
        The path of the verified CSV.

    Raises:
        ConnectionError: The server cannot be reached or did not answer with the archive.
        DataError: What came, or what is cached, is not the pinned file; or the cache cannot be
            written.
    """
    path = cache_dir / FILE_NAME
    if path.exists():
        _verify(path.read_bytes(), sha256, str(path), "delete it to download it again")
        return path
    content = _unzip(_download(url), url)
    _verify(content, sha256, url, "set SHILL_DATASET to a copy of the published CSV")
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise DataError(
            f"{cache_dir}: {error.strerror}: make it writable or set SHILL_CACHE_DIR"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return path


def _download(url: str) -> bytes:
    body = io.BytesIO()
    try:
        # The address is a constant of this module, not a user's.
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            length = response.headers.get("Content-Length")
            with tqdm(
                total=int(length) if length else None,
                desc="UCI 562",
                unit="B",
                unit_scale=True,
                disable=None,  # no bar where stderr is not a terminal
            ) as progress:
                while chunk := response.read(_CHUNK_BYTES):
                    body.write(chunk)
                    progress.update(len(chunk))
    except (OSError, HTTPException) as error:
        raise ConnectionError(f"{url}: {error}") from error
    return body.getvalue()


def _unzip(archive: bytes, url: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            names = [name for name in files.namelist() if name.lower().endswith(".csv")]
            if len(names) != 1:
                raise DataError(
                    f"{url}: holds {len(names)} CSV files, not one: set SHILL_DATASET to a copy"
                )
            return files.read(names[0])
    except zipfile.BadZipFile as error:
        raise DataError(f"{url}: not a whole zip archive ({error}): try again") from None


def _verify(content: bytes, sha256: str, origin: str, remedy: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DataError(f"{origin}: sha256 of the CSV is {found}, not {sha256}: {remedy}")
