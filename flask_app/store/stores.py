"""Opens a store by its name."""

from pathlib import Path

from flask_app.s3 import SCHEME
from flask_app.store.bundle import Bundle, M
from flask_app.store.directory_store import DirectoryStore
from flask_app.store.store import Store


def open_at(url: str, cache: Path, kind: type[Bundle[M]]) -> Store[M]:
    """Return the store at `url`.

    Args:
        url: A directory, or s3://BUCKET/PREFIX.
        cache: Directory that keeps what was read from S3.
        kind: What it holds.
    """
    if url.startswith(SCHEME):
        # Imported when needed: boto3 takes 0.3 s and 25 MB.
        from flask_app.store.s3_store import S3Store  # noqa: PLC0415

        return S3Store(url, cache, kind)
    return DirectoryStore(Path(url), kind)
