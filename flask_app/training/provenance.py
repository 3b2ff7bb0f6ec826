"""What a training depends on, so that it need not be repeated."""

import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import msgspec

import flask_app
from flask_app.data.dataset import Dataset, to_csv
from flask_app.errors import BundleError
from flask_app.model.bundle import Bundle, Training
from flask_app.model.stores import ModelStore
from flask_app.training.candidates import Candidate

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


def provenance(dataset: Dataset, seed: int, candidates: Mapping[str, Candidate]) -> Training:
    """Describe a training; equal descriptions give equal bundles."""
    libraries = {name: metadata.version(name) for name in _LIBRARIES}
    libraries["python"] = platform.python_version()
    # The file alone does not tell: SHILL_DATASET_COLUMNS may have named other columns of it.
    records = hashlib.sha256(to_csv(dataset.frame)).hexdigest()
    data = dataset.name, dataset.sha256, records
    parts = [*data, seed, libraries, *candidates, *_code(candidates)]
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


def _code(candidates: Mapping[str, Candidate]) -> list[str]:
    """The sha256 of each module that decides what a bundle contains."""
    package = Path(flask_app.__file__).parent
    members = (member for candidate in candidates.values() for member in candidate)
    modules = ["record.py", "reference/thresholds.py", "reference/distance.py", "model/bundle.py"]
    paths = {
        *(package / name for name in modules),
        *(package / "training").glob("*.py"),
        *(member.source for member in members),
    }
    # Sorted by content: where a user's own module lies makes no other training.
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
