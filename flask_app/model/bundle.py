"""The model bundle: what a model is, and the data that it was trained on.

    <version>/
        manifest.json      what the model is, how good it is, and the sha256 of each other file
        model.onnx         input FEATURES_INPUT, output PROBABILITIES_OUTPUT
        reference.parquet  the training data, to compare later data with
        drift_calibration.json  from which distance on later data has drifted
        MODEL_CARD.md ...  whatever else the manifest lists

A version is `<dataset>-<12 hex digits>`; see `flask_app.store.bundle`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from flask_app.errors import BundleError
from flask_app.record import FEATURES, UnitInterval
from flask_app.store import bundle
from flask_app.store.bundle import Sha256, Timestamp, Version

SCHEMA_VERSION = 3
MODEL = "model.onnx"
REFERENCE = "reference.parquet"
DRIFT_CALIBRATION = "drift_calibration.json"

FEATURES_INPUT = "features"
"""The model's input: float32 (n, 9), columns in the order of `FEATURES`."""
PROBABILITIES_OUTPUT = "probabilities"
"""The model's output: float32 (n, 2), the probabilities of honest and of shill."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything in a manifest."""


class TrainingData(_Strict, frozen=True):
    """What the model was trained on; `shill_share` is the class prior."""

    name: str
    sha256: Sha256
    rows: int
    auctions: int
    shill_share: UnitInterval


class Feature(_Strict, frozen=True):
    """One model input and the range it has in the training data."""

    name: str
    minimum: float
    maximum: float


class CrossValidationMetrics(_Strict, frozen=True):
    """How good the probabilities are on data that played no part in choosing anything."""

    roc_auc: UnitInterval
    average_precision: UnitInterval
    f1: UnitInterval
    precision: UnitInterval
    recall: UnitInterval
    brier: UnitInterval


class Candidate(_Strict, frozen=True):
    """One estimator that was compared, with the calibration chosen for it."""

    name: str
    calibration: str
    metrics: CrossValidationMetrics


class Threshold(_Strict, frozen=True):
    """A row is called shill at this probability or above; `rule` says how it was chosen."""

    value: UnitInterval
    rule: str


class OperatingPoint(_Strict, frozen=True):
    """A threshold and what it does, out of fold: which shares of records are at or above it."""

    threshold: UnitInterval
    honest_flagged: UnitInterval
    shills_caught: UnitInterval


class Bands(_Strict, frozen=True):
    """From which probability on a record is to be reviewed, and from which it is to be blocked.

    `rule` says how the two were chosen; `table` has others to choose from.
    """

    review: OperatingPoint
    block: OperatingPoint
    rule: str
    table: tuple[OperatingPoint, ...]


class GoldenRow(_Strict, frozen=True):
    """A row, by feature name, and the probability the model was published with."""

    features: dict[str, float]
    probability: UnitInterval


class Training(_Strict, frozen=True):
    """How to make the bundle again; `fingerprint` covers data, seed, code and libraries."""

    seed: int
    fingerprint: Sha256
    libraries: dict[str, str]


class Manifest(_Strict, frozen=True):
    """What a bundle says of itself.

    `record_schema` is `flask_app.record.SCHEMA_ID`; `typical` has each feature's median over the
    honest records, what reasons compare with.
    """

    schema_version: int
    version: Version
    created_at: Timestamp
    dataset: TrainingData
    record_schema: str
    features: tuple[Feature, ...]
    estimator: str
    calibration: str
    threshold: Threshold
    bands: Bands
    typical: dict[str, float]
    metrics: CrossValidationMetrics
    candidates: tuple[Candidate, ...]
    golden_rows: Annotated[tuple[GoldenRow, ...], Meta(min_length=16)]
    training: Training
    files: dict[str, Sha256]

    def content_version(self) -> str:
        """The version that belongs to this content."""
        return bundle.content_version(self, self.dataset.name)


class Bundle(bundle.Bundle[Manifest]):
    """A model's bundle on disk."""

    @classmethod
    def parse_manifest(cls, path: object, content: bytes) -> Manifest:
        """See `bundle.Bundle.parse_manifest`."""
        manifest = bundle.decode_manifest(path, content, Manifest, SCHEMA_VERSION, "train anew")
        for name in (MODEL, REFERENCE, DRIFT_CALIBRATION):
            if name not in manifest.files:
                raise BundleError(f"{path}: files does not list {name}: train anew")
        _check_features(f"{path}: features", [feature.name for feature in manifest.features])
        _check_features(f"{path}: typical", list(manifest.typical))
        for number, row in enumerate(manifest.golden_rows):
            _check_features(f"{path}: golden_rows[{number}].features", list(row.features))
        bundle.check_content(path, manifest, "train anew")
        return manifest


def _check_features(where: str, names: list[str]) -> None:
    if names != list(FEATURES):
        raise BundleError(
            f"{where} are {', '.join(names)}; this release serves {', '.join(FEATURES)}: train anew"
        )
