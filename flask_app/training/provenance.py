"""What a training depends on, so that it need not be repeated."""

import hashlib
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import msgspec

import flask_app
from flask_app.data.dataset import Dataset
from flask_app.errors import BundleError
from flask_app.model.bundle import Bundle, Training
from flask_app.model.store import ModelStore

_LIBRARIES = (
    "matplotlib",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "skl2onnx",
)


def provenance(dataset: Dataset, seed: int) -> Training:
    """Describe a training; equal descriptions give equal bundles."""
    libraries = {name: metadata.version(name) for name in _LIBRARIES}
    libraries["python"] = platform.python_version()
    parts = [dataset.name, dataset.sha256, seed, libraries, *_code()]
    return Training(
        seed=seed,
        fingerprint=hashlib.sha256(msgspec.json.encode(parts)).hexdigest(),
        libraries=libraries,
    )


def find_trained(store: ModelStore, training: Training) -> str | None:
    """Return the undamaged version in `store` that such a training gave, None if there is none."""
    for version in store.versions():
        try:
            if store.manifest(version).training.fingerprint == training.fingerprint:
                Bundle.open(store.fetch(version)).verify()
                return version
        except BundleError:
            continue
    return None


def _code() -> Iterable[str]:
    """The sha256 of each module that decides what a bundle contains."""
    package = Path(flask_app.__file__).parent
    modules = ["record.py", "reference/thresholds.py", "reference/distance.py", "model/bundle.py"]
    for path in [
        *(package / name for name in modules),
        *sorted((package / "training").glob("*.py")),
    ]:
        yield hashlib.sha256(path.read_bytes()).hexdigest()
