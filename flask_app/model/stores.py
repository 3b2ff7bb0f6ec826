"""Opens the model store that the settings name."""

from pathlib import Path

from flask_app.model.directory_store import DirectoryStore
from flask_app.model.store import ModelStore
from flask_app.settings import Settings


def open_store(settings: Settings) -> ModelStore:
    """Return the store that SHILL_MODEL_STORE names: a directory, or s3://BUCKET/PREFIX."""
    if settings.model_store_is_remote:
        # Imported when needed: boto3 takes 0.3 s and 25 MB.
        from flask_app.model.s3_store import S3Store  # noqa: PLC0415

        return S3Store(settings.model_store, settings.model_cache)
    return DirectoryStore(Path(settings.model_store))
