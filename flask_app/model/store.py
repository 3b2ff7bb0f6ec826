"""Where published bundles are kept, and which of them is in production."""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
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
    Sha256,
    Timestamp,
    Version,
)

POINTER = "production.json"
_STAGING = ".staging-"


class Pointer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version is in production; `previous` is what `rollback` goes back to."""

    version: Version
    manifest_sha256: Sha256
    promoted_at: Timestamp
    previous: Version | None


class ModelStore(Protocol):
    """What a store can do; versions never change, one pointer moves."""

    def publish(self, directory: Path) -> str:
        """Keep a copy of the bundle in `directory`; returns its version.

        Publishing what the store holds already changes nothing. Raises `BundleError` when the
        bundle's files are not what its manifest says, `VersionExists` when the copy that the store
        holds is damaged.
        """

    def versions(self) -> tuple[str, ...]:
        """Every version held, sorted by name."""

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

    def __init__(self, path: Path) -> None:
        self.path = path

    def publish(self, directory: Path) -> str:
        """See `ModelStore.publish`."""
        bundle = Bundle.open(directory)
        bundle.verify()
        version = bundle.manifest.version
        with self._lock():
            # The lock is ours: whatever is staged was left by a writer that died.
            for abandoned in self.path.glob(f"{_STAGING}*"):
                shutil.rmtree(abandoned)
            if version in self.versions():
                self._check_held(version)
                return version
            with tempfile.TemporaryDirectory(prefix=_STAGING, dir=self.path) as staging:
                staged = Path(staging) / version
                staged.mkdir()
                for name in bundle.manifest.files:
                    _write(staged / name, bundle.read(name), mode=0o444)
                _write(staged / MANIFEST, bundle.manifest_content, mode=0o444)
                staged.chmod(0o755)
                _sync_directory(staged)
                staged.rename(self.path / version)
            _sync_directory(self.path)
        return version

    def versions(self) -> tuple[str, ...]:
        """See `ModelStore.versions`."""
        if not self.path.is_dir():
            return ()
        names = (entry.name for entry in self.path.iterdir() if entry.is_dir())
        return tuple(sorted(name for name in names if re.fullmatch(VERSION_PATTERN, name)))

    def fetch(self, version: str) -> Path:
        """See `ModelStore.fetch`."""
        held = self.versions()
        if version not in held:
            raise VersionNotFound(
                f"{self.path} holds no version {version!r}: publish it, or choose one of "
                f"{', '.join(held) or 'none'}"
            )
        return self.path / version

    def production(self) -> Pointer | None:
        """See `ModelStore.production`; raises `StoreError` for a pointer that is malformed."""
        path = self.path / POINTER
        try:
            return msgspec.json.decode(path.read_bytes(), type=Pointer)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise StoreError(
                f"{path} is not a pointer ({error}): delete it, then promote a version"
            ) from None

    def promote(self, version: str) -> Pointer:
        """See `ModelStore.promote`."""
        with self._lock():
            current = self.production()
            if current is None:
                return self._point_at(version, previous=None)
            if version != current.version:
                return self._point_at(version, previous=current.version)
            if self._manifest_sha256(version) != current.manifest_sha256:
                return self._point_at(version, previous=current.previous)
            return current

    def rollback(self) -> Pointer:
        """See `ModelStore.rollback`."""
        with self._lock():
            current = self.production()
            if current is None or current.previous is None:
                raise StoreError(
                    f"{self.path / POINTER} names no previous version to roll back to: promote one "
                    f"of {', '.join(self.versions()) or 'none'}"
                )
            return self._point_at(current.previous, previous=None)

    def _point_at(self, version: str, *, previous: str | None) -> Pointer:
        pointer = Pointer(
            version=version,
            manifest_sha256=self._manifest_sha256(version),
            promoted_at=datetime.now(UTC).replace(microsecond=0),
            previous=previous,
        )
        content = msgspec.json.format(msgspec.json.encode(pointer), indent=2) + b"\n"
        # The lock is ours: one name for the draft is enough, a dead writer's is overwritten.
        draft = self.path / f".{POINTER}"
        draft.unlink(missing_ok=True)
        _write(draft, content, mode=0o644)
        draft.replace(self.path / POINTER)
        _sync_directory(self.path)
        return pointer

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
                yield
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be changed ({error}): make it writable, with space left"
            ) from error


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
