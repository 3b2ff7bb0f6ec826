"""What every store can do, and how its production pointer moves."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from flask_app.errors import StoreError, VersionNotFound
from flask_app.store.bundle import M_co, Sha256, Timestamp, Version

POINTER = "production.json"


class Pointer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version is in production; `previous` is what `rollback` goes back to."""

    version: Version
    manifest_sha256: Sha256
    promoted_at: Timestamp
    previous: Version | None


class Store(Protocol[M_co]):
    """What a store can do; versions never change, one pointer moves.

    Attributes:
        unreachable: Whether it could not be asked when it was asked last for what is in production.
    """

    unreachable: bool

    def publish(self, directory: Path) -> str:
        """Keep a copy of the bundle in `directory`; returns its version.

        Publishing what the store holds already changes nothing. Raises `BundleError` when the
        bundle's files are not what its manifest says, `VersionExists` when the copy that the store
        holds is damaged.
        """

    def versions(self) -> tuple[str, ...]:
        """Every version held, sorted by name."""

    def manifest(self, version: str) -> M_co:
        """Return what `version` says of itself; raises `VersionNotFound` or `BundleError`."""

    def fetch(self, version: str) -> Path:
        """Return a local directory with the bundle; raises `VersionNotFound`."""

    def production(self) -> Pointer | None:
        """Return the pointer, None before the first promotion."""

    def promote(self, version: str) -> Pointer:
        """Point production at `version`, unverified; raises `VersionNotFound`.

        Promoting what is in production already changes nothing.
        """

    def rollback(self) -> Pointer:
        """Point production at the previous version, once.

        The version rolled back from does not become `previous`: a second rollback would bring it
        back, so it is refused with `StoreError`, as is one where nothing went before.
        """


def make_pointer(version: str, manifest_sha256: str, *, previous: str | None) -> Pointer:
    """Make a pointer of this second."""
    now = datetime.now(UTC).replace(microsecond=0)
    return Pointer(
        version=version, manifest_sha256=manifest_sha256, promoted_at=now, previous=previous
    )


def promotion(current: Pointer | None, version: str, manifest_sha256: str) -> Pointer:
    """Return where promoting `version` moves the pointer; `current`, if it is there already."""
    if current is None:
        return make_pointer(version, manifest_sha256, previous=None)
    if version != current.version:
        return make_pointer(version, manifest_sha256, previous=current.version)
    if manifest_sha256 != current.manifest_sha256:
        return make_pointer(version, manifest_sha256, previous=current.previous)
    return current


def rollback_target(store: Store[Any], current: Pointer | None) -> str:
    """Return the version to roll back to; raises `StoreError` if there is none."""
    if current is None or current.previous is None:
        raise StoreError(
            f"{store}/{POINTER} names no previous version to roll back to: promote one of "
            f"{', '.join(store.versions()) or 'none'}"
        )
    return current.previous


def not_found(store: Store[Any], version: str) -> VersionNotFound:
    """Return the error for a version that `store` does not hold."""
    return VersionNotFound(
        f"{store} holds no version {version!r}: publish it, or choose one of "
        f"{', '.join(store.versions()) or 'none'}"
    )


def encode_pointer(pointer: Pointer) -> bytes:
    """Return the content of production.json."""
    return msgspec.json.format(msgspec.json.encode(pointer), indent=2) + b"\n"


def decode_pointer(path: object, content: bytes) -> Pointer:
    """Decode production.json, read from `path`; raises `StoreError`."""
    try:
        return msgspec.json.decode(content, type=Pointer)
    except msgspec.DecodeError as error:
        raise StoreError(
            f"{path} is not a pointer ({error}): delete it, then promote a version"
        ) from None
