"""Opens the model store that the settings name."""

from flask_app.model.bundle import Bundle, Manifest
from flask_app.settings import Settings
from flask_app.store.store import Store
from flask_app.store.stores import open_at

ModelStore = Store[Manifest]


def open_store(settings: Settings) -> ModelStore:
    """Return the store that SHILL_MODEL_STORE names: a directory, or s3://BUCKET/PREFIX."""
    return open_at(settings.model_store, settings.model_cache, Bundle)
