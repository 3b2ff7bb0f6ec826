"""What a store holds: a directory named by its version, whose manifest vouches for every byte.

A version is `<name>-<12 hex digits>`; the digits are the sha256 of the manifest without its version
and time of creation. The manifest holds the sha256 of the files, so a version names one content:
neither a file nor anything in the manifest can change without it showing.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Generic, Protocol, Self, TypeVar

import msgspec
from msgspec import Meta

from flask_app.errors import BundleError, ChecksumError
from flask_app.record import SCHEMA_ID

MANIFEST = "manifest.json"

VERSION_PATTERN = r"^[a-z0-9][a-z0-9_]{0,62}-[0-9a-f]{12}$"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EPOCH = datetime.fromtimestamp(0, UTC)

Version = Annotated[str, Meta(pattern=VERSION_PATTERN)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Timestamp = Annotated[datetime, Meta(tz=True)]


class AnyManifest(Protocol):
    """What the manifests of all kinds of bundles have."""

    @property
    def version(self) -> str:
        """What the bundle is called."""

    @property
    def record_schema(self) -> str:
        """Of which records it is, `flask_app.record.SCHEMA_ID`."""

    @property
    def files(self) -> dict[str, str]:
        """The sha256 of each other file of the bundle."""

    def content_version(self) -> str:
        """Return the version that belongs to this content."""


M = TypeVar("M", bound=AnyManifest)
M_co = TypeVar("M_co", bound=AnyManifest, covariant=True)


class Bundle(ABC, Generic[M_co]):
    """A bundle on disk, its manifest checked; files are checked as they are read."""

    def __init__(self, directory: Path, manifest: M_co, content: bytes) -> None:
        self.directory = directory
        self.manifest = manifest
        self.manifest_content = content

    @classmethod
    @abstractmethod
    def parse_manifest(cls, path: object, content: bytes) -> M_co:
        """Decode and check the manifest read from `path`; raises `BundleError`."""

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
        content = checked(path, _read(path), manifest_sha256)
        return cls(directory, cls.parse_manifest(path, content), content)

    def read(self, name: str) -> bytes:
        """Return the content of the listed file `name`, which has the sha256 it is listed with."""
        path = self.directory / name
        return checked(path, _read(path), self.manifest.files[name])

    def contents(self) -> dict[str, bytes]:
        """Read and check every file; the manifest is the last."""
        files = {name: self.read(name) for name in self.manifest.files}
        return {**files, MANIFEST: self.manifest_content}

    def verify(self) -> None:
        """Check every file, piece by piece; raises `BundleError` for one missing or altered."""
        for name, expected in self.manifest.files.items():
            path = self.directory / name
            try:
                with path.open("rb") as file:
                    actual = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise _unreadable(path, error) from error
            _compare(path, actual, expected)


def write(parent: Path, kind: type[Bundle[M]], draft: M, files: Mapping[str, bytes]) -> Path:
    """Write `files` and their manifest to `<parent>/<version>/`.

    Args:
        parent: Existing directory that gets the bundle.
        kind: What kind of bundle it is.
        draft: The manifest; its version and files are filled in here.
        files: Content by file name.

    Returns:
        The bundle's directory.

    Raises:
        BundleError: The manifest would not be accepted by `Bundle.open`.
    """
    manifest: Any = draft
    sums = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest = msgspec.structs.replace(manifest, files=sums)
    manifest = msgspec.structs.replace(manifest, version=manifest.content_version())
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    directory: Path = parent / manifest.version
    kind.parse_manifest(directory / MANIFEST, content)
    directory.mkdir()
    for name, data in {**files, MANIFEST: content}.items():
        (directory / name).write_bytes(data)
    return directory


def content_version(manifest: msgspec.Struct, name: str) -> str:
    """Return the version that belongs to what `manifest` says, of a bundle called `name`."""
    content = msgspec.structs.replace(manifest, version="", created_at=_EPOCH)
    digest = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
    return f"{name}-{digest[:12]}"


def decode_manifest(
    path: object, content: bytes, kind: type[M], schema_version: int, remedy: str
) -> M:
    """Decode the manifest read from `path`; `check_content` is left for when the rest is checked.

    Args:
        path: Where it was read.
        content: Its JSON.
        kind: Its type.
        schema_version: What it must be of.
        remedy: What makes a bundle of this schema.

    Raises:
        BundleError: It is none, or of another schema.
    """
    try:
        found = msgspec.json.decode(content, type=_SchemaVersion).schema_version
        if found != schema_version:
            raise BundleError(
                f"{path}: schema_version {found} is unknown, this release reads {schema_version}: "
                f"{remedy}, or deploy the release that wrote it"
            )
        manifest = msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise BundleError(f"{path} is not a manifest ({error}): publish the bundle again") from None
    for name in manifest.files:
        if not _FILE_NAME.fullmatch(name):
            raise BundleError(f"{path}: files lists {name!r}: a plain file name is required")
    return manifest


def check_content(path: object, manifest: AnyManifest, remedy: str) -> None:
    """Check that `manifest`, read from `path`, is of this release's records and not altered.

    Args:
        path: Where it was read.
        manifest: What it says.
        remedy: What makes a bundle of these records.

    Raises:
        BundleError: It is of others, or its version is not that of its content.
    """
    if manifest.record_schema != SCHEMA_ID:
        raise BundleError(
            f"{path}: record_schema is {manifest.record_schema}, this release serves "
            f"{SCHEMA_ID}: {remedy}"
        )
    if manifest.version != manifest.content_version():
        raise BundleError(
            f"{path}: version {manifest.version} does not belong to its content, which gives "
            f"{manifest.content_version()}: it was altered, publish the bundle again"
        )


class _SchemaVersion(msgspec.Struct):
    """The one field that manifests of every schema have."""

    schema_version: int


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BundleError:
    return BundleError(f"{path} cannot be read ({error.strerror}): publish the bundle again")


def checked(path: object, content: bytes, sha256: str | None) -> bytes:
    """Return `content`, read from `path`; raises `ChecksumError` if it has another sha256."""
    if sha256 is not None:
        _compare(path, hashlib.sha256(content).hexdigest(), sha256)
    return content


def _compare(path: object, actual: str, expected: str) -> None:
    if actual != expected:
        raise ChecksumError(
            f"{path} has sha256 {actual}, expected {expected}: restore the file, or promote "
            "another version"
        )
