"""The model bundle: a directory named by its version, whose manifest vouches for every byte in it.

    <version>/
        manifest.json      what the model is, how good it is, and the sha256 of each other file
        model.onnx         input FEATURES_INPUT, output PROBABILITIES_OUTPUT
        reference.parquet  the training data, to compare later data with
        drift_calibration.json  from which distance on later data has drifted
        MODEL_CARD.md ...  whatever else the manifest lists

A version is `<dataset>-<12 hex digits>`; the digits are the sha256 of the manifest without its
version and time of creation. The manifest holds the sha256 of the files, so a version names one
content: neither a file nor the threshold can change without it showing.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from flask_app.errors import BundleError, ChecksumError
from flask_app.record import FEATURES, SCHEMA_ID, UnitInterval

SCHEMA_VERSION = 3
MANIFEST = "manifest.json"
MODEL = "model.onnx"
REFERENCE = "reference.parquet"
DRIFT_CALIBRATION = "drift_calibration.json"

FEATURES_INPUT = "features"
"""The model's input: float32 (n, 9), columns in the order of `FEATURES`."""
PROBABILITIES_OUTPUT = "probabilities"
"""The model's output: float32 (n, 2), the probabilities of honest and of shill."""

VERSION_PATTERN = r"^[a-z0-9][a-z0-9_]{0,62}-[0-9a-f]{12}$"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EPOCH = datetime.fromtimestamp(0, UTC)

Version = Annotated[str, Meta(pattern=VERSION_PATTERN)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Timestamp = Annotated[datetime, Meta(tz=True)]


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
        content = msgspec.structs.replace(self, version="", created_at=_EPOCH)
        digest = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
        return f"{self.dataset.name}-{digest[:12]}"


class _SchemaVersion(msgspec.Struct):
    """The one field that manifests of every schema have."""

    schema_version: int


class Bundle:
    """A bundle on disk, its manifest checked; files are checked as they are read."""

    def __init__(self, directory: Path, manifest: Manifest, content: bytes) -> None:
        self.directory = directory
        self.manifest = manifest
        self.manifest_content = content

    @classmethod
    def open(cls, directory: Path, *, manifest_sha256: str | None = None) -> Self:
        """Read and check the manifest of the bundle in `directory`.

        Args:
            directory: Where the bundle is.
            manifest_sha256: What the manifest's sha256 must be, if it is known from elsewhere.

        Raises:
            ChecksumError: The manifest's sha256 is another one.
            BundleError: It is missing or malformed, or this release cannot serve what it describes.
        """
        path = directory / MANIFEST
        content = _read(path, sha256=manifest_sha256)
        return cls(directory, parse_manifest(path, content), content)

    def read(self, name: str) -> bytes:
        """Return the content of the listed file `name`, which has the sha256 it is listed with."""
        return _read(self.directory / name, sha256=self.manifest.files[name])

    def contents(self) -> dict[str, bytes]:
        """Read and check every file; the manifest is the last."""
        files = {name: self.read(name) for name in self.manifest.files}
        return {**files, MANIFEST: self.manifest_content}

    def verify(self) -> None:
        """Read every file; raises `BundleError` for the first that is missing or altered."""
        for name in self.manifest.files:
            self.read(name)


def write(parent: Path, draft: Manifest, files: Mapping[str, bytes]) -> Path:
    """Write `files` and their manifest to `<parent>/<version>/`.

    Args:
        parent: Existing directory that gets the bundle.
        draft: The manifest; its version and files are filled in here.
        files: Content by file name.

    Returns:
        The bundle's directory.

    Raises:
        BundleError: The manifest would not be accepted by `Bundle.open`.
    """
    sums = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest = msgspec.structs.replace(draft, files=sums)
    manifest = msgspec.structs.replace(manifest, version=manifest.content_version())
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    directory = parent / manifest.version
    parse_manifest(directory / MANIFEST, content)
    directory.mkdir()
    for name, data in {**files, MANIFEST: content}.items():
        (directory / name).write_bytes(data)
    return directory


def _read(path: Path, *, sha256: str | None) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}): publish the bundle again"
        ) from error
    return checked(path, content, sha256)


def checked(path: object, content: bytes, sha256: str | None) -> bytes:
    """Return `content`, read from `path`; raises `ChecksumError` if it has another sha256."""
    actual = hashlib.sha256(content).hexdigest()
    if sha256 not in {None, actual}:
        raise ChecksumError(
            f"{path} has sha256 {actual}, expected {sha256}: restore the file, or promote another "
            "version"
        )
    return content


def parse_manifest(path: object, content: bytes) -> Manifest:
    """Decode and check the manifest read from `path`; raises `BundleError`."""
    try:
        schema_version = msgspec.json.decode(content, type=_SchemaVersion).schema_version
        if schema_version != SCHEMA_VERSION:
            raise BundleError(
                f"{path}: schema_version {schema_version} is unknown, this release reads "
                f"{SCHEMA_VERSION}: train anew, or deploy the release that wrote it"
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise BundleError(f"{path} is not a manifest ({error}): publish the bundle again") from None

    for name in manifest.files:
        if not _FILE_NAME.fullmatch(name):
            raise BundleError(f"{path}: files lists {name!r}: a plain file name is required")
    for name in (MODEL, REFERENCE, DRIFT_CALIBRATION):
        if name not in manifest.files:
            raise BundleError(f"{path}: files does not list {name}: train anew")
    _check_features(f"{path}: features", [feature.name for feature in manifest.features])
    _check_features(f"{path}: typical", list(manifest.typical))
    for number, row in enumerate(manifest.golden_rows):
        _check_features(f"{path}: golden_rows[{number}].features", list(row.features))
    if manifest.record_schema != SCHEMA_ID:
        raise BundleError(
            f"{path}: record_schema is {manifest.record_schema}, this release serves {SCHEMA_ID}: "
            "train anew"
        )
    if manifest.version != manifest.content_version():
        raise BundleError(
            f"{path}: version {manifest.version} does not belong to its content, which gives "
            f"{manifest.content_version()}: it was altered, publish the bundle again"
        )
    return manifest


def _check_features(where: str, names: list[str]) -> None:
    if names != list(FEATURES):
        raise BundleError(
            f"{where} are {', '.join(names)}; this release serves {', '.join(FEATURES)}: train anew"
        )
