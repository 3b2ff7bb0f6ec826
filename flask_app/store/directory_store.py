"""A store in a local directory."""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Generic

from flask_app.errors import BundleError, StoreError, VersionExists
from flask_app.files import sync_directory
from flask_app.store.bundle import MANIFEST, VERSION_PATTERN, Bundle, M
from flask_app.store.store import (
    POINTER,
    Pointer,
    decode_pointer,
    encode_pointer,
    make_pointer,
    not_found,
    promotion,
    rollback_target,
)

STAGING = ".staging-"


class DirectoryStore(Generic[M]):
    """A `Store` in a local directory: `<version>/` and `production.json`.

    Whatever is visible is complete: both appear by rename, after their content is on disk. Writers
    take turns by a lock that the kernel releases when a process dies; readers take none, so that
    a server may have the directory read-only.

    Args:
        path: The directory; made when it is first written to.
        kind: What it holds.
    """

    unreachable = False

    def __init__(self, path: Path, kind: type[Bundle[M]]) -> None:
        self.path = path
        self._kind = kind

    def __str__(self) -> str:
        return str(self.path)

    def publish(self, directory: Path) -> str:
        """See `Store.publish`."""
        bundle = self._kind.open(directory)
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
            sync_directory(staged)
            staged.rename(self.path / version)
        sync_directory(self.path)

    def versions(self) -> tuple[str, ...]:
        """See `Store.versions`."""
        with self._readable():
            if not self.path.is_dir():
                return ()
            names = [entry.name for entry in self.path.iterdir() if entry.is_dir()]
        return tuple(sorted(name for name in names if re.fullmatch(VERSION_PATTERN, name)))

    def manifest(self, version: str) -> M:
        """See `Store.manifest`."""
        return self._kind.open(self.fetch(version)).manifest

    def fetch(self, version: str) -> Path:
        """See `Store.fetch`."""
        if version not in self.versions():
            raise not_found(self, version)
        return self.path / version

    def production(self) -> Pointer | None:
        """See `Store.production`; raises `StoreError` for a pointer that is malformed."""
        path = self.path / POINTER
        with self._readable():
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                return None
        return decode_pointer(path, content)

    def promote(self, version: str) -> Pointer:
        """See `Store.promote`."""
        with self._lock():
            current = self.production()
            pointer = promotion(current, version, self._manifest_sha256(version))
            if pointer != current:
                self._point(pointer)
            return pointer

    def rollback(self) -> Pointer:
        """See `Store.rollback`."""
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
        sync_directory(self.path)

    def _manifest_sha256(self, version: str) -> str:
        return hashlib.sha256((self.fetch(version) / MANIFEST).read_bytes()).hexdigest()

    def _check_held(self, version: str) -> None:
        try:
            self._kind.open(self.path / version).verify()
        except BundleError as error:
            raise VersionExists(
                f"{self.path} holds a damaged {version}, and versions are immutable ({error}): "
                "remove that directory, then publish again"
            ) from error

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be read ({error}): give this user access to it"
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


def _write(path: Path, content: bytes, *, mode: int) -> None:
    with path.open("xb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
