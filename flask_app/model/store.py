"""Where published bundles are kept, and which of them is in production."""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from flask_app.errors import BundleError, StoreError, VersionExists, VersionNotFound
from flask_app.model.bundle import (
    MANIFEST,
    VERSION_PATTERN,
    Bundle,
    Manifest,
    Sha256,
    Timestamp,
    Version,
)
from flask_app.settings import Settings

POINTER = "production.json"
STAGING = ".staging-"


class Pointer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version is in production; `previous` is what `rollback` goes back to."""

    version: Version
    manifest_sha256: Sha256
    promoted_at: Timestamp
    previous: Version | None


class ModelStore(Protocol):
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

    def manifest(self, version: str) -> Manifest:
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


class DirectoryStore:
    """A `ModelStore` in a local directory: `<version>/` and `production.json`.

    Whatever is visible is complete: both appear by rename, after their content is on disk. Writers
    take turns by a lock that the kernel releases when a process dies; readers take none, so that
    a server may have the directory read-only.
    """

    unreachable = False

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def publish(self, directory: Path) -> str:
        """See `ModelStore.publish`."""
        bundle = Bundle.open(directory)
        contents = bundle.contents()
        version = bundle.manifest.version
        with self._lock():
            if version in self.versions():
                self._check_held(version)
                return version
            self._keep(version, contents)
        return version

    def _keep(self, version: str, contents: Mapping[str, bytes]) -> None:
        """Make the directory of a version; the lock is ours."""
        with tempfile.TemporaryDirectory(prefix=STAGING, dir=self.path) as staging:
            staged = Path(staging) / version
            staged.mkdir()
            for name, content in contents.items():
                _write(staged / name, content, mode=0o444)
            staged.chmod(0o755)
            _sync_directory(staged)
            staged.rename(self.path / version)
        _sync_directory(self.path)

    def versions(self) -> tuple[str, ...]:
        """See `ModelStore.versions`."""
        if not self.path.is_dir():
            return ()
        names = (entry.name for entry in self.path.iterdir() if entry.is_dir())
        return tuple(sorted(name for name in names if re.fullmatch(VERSION_PATTERN, name)))

    def manifest(self, version: str) -> Manifest:
        """See `ModelStore.manifest`."""
        return Bundle.open(self.fetch(version)).manifest

    def fetch(self, version: str) -> Path:
        """See `ModelStore.fetch`."""
        if version not in self.versions():
            raise not_found(self, version)
        return self.path / version

    def production(self) -> Pointer | None:
        """See `ModelStore.production`; raises `StoreError` for a pointer that is malformed."""
        path = self.path / POINTER
        try:
            return decode_pointer(path, path.read_bytes())
        except FileNotFoundError:
            return None

    def promote(self, version: str) -> Pointer:
        """See `ModelStore.promote`."""
        with self._lock():
            current = self.production()
            pointer = promotion(current, version, self._manifest_sha256(version))
            if pointer != current:
                self._point(pointer)
            return pointer

    def rollback(self) -> Pointer:
        """See `ModelStore.rollback`."""
        with self._lock():
            version = rollback_target(self, self.production())
            pointer = make_pointer(version, self._manifest_sha256(version), previous=None)
            self._point(pointer)
            return pointer

    def _point(self, pointer: Pointer) -> None:
        """Move the pointer; the lock is ours."""
        # One name for the draft is enough, a dead writer's is overwritten.
        draft = self.path / f".{POINTER}"
        draft.unlink(missing_ok=True)
        _write(draft, encode_pointer(pointer), mode=0o644)
        draft.replace(self.path / POINTER)
        _sync_directory(self.path)

    def _manifest_sha256(self, version: str) -> str:
        return hashlib.sha256((self.fetch(version) / MANIFEST).read_bytes()).hexdigest()

    def _check_held(self, version: str) -> None:
        try:
            Bundle.open(self.path / version).verify()
        except BundleError as error:
            raise VersionExists(
                f"{self.path} holds a damaged {version}, and versions are immutable ({error}): "
                "remove that directory, then publish again"
            ) from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / ".lock").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                # The lock is ours: whatever is staged was left by a writer that died.
                for abandoned in self.path.glob(f"{STAGING}*"):
                    shutil.rmtree(abandoned)
                yield
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be changed ({error}): make it writable, with space left"
            ) from error


def open_store(settings: Settings) -> ModelStore:
    """Return the store that SHILL_MODEL_STORE names: a directory, or s3://BUCKET/PREFIX."""
    if settings.model_store_is_remote:
        # Imported when needed: boto3 takes 0.3 s and 25 MB.
        from flask_app.model.s3_store import S3Store  # noqa: PLC0415

        return S3Store(settings.model_store, settings.model_cache)
    return DirectoryStore(Path(settings.model_store))


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


def rollback_target(store: ModelStore, current: Pointer | None) -> str:
    """Return the version to roll back to; raises `StoreError` if there is none."""
    if current is None or current.previous is None:
        raise StoreError(
            f"{store}/{POINTER} names no previous version to roll back to: promote one of "
            f"{', '.join(store.versions()) or 'none'}"
        )
    return current.previous


def not_found(store: ModelStore, version: str) -> VersionNotFound:
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


def _write(path: Path, content: bytes, *, mode: int) -> None:
    with path.open("xb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
