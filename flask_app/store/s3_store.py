"""Published bundles in S3: `<version>/` and `production.json` below a prefix.

A version's files are put first and its manifest last, each only where there is none: what is
visible is complete, and nothing is ever written over. The pointer is moved only from where it was
read. What is read is checked against its sha256 here, whatever the way there did to it.
"""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic

from flask_app.errors import BundleError, S3Error, StoreError, VersionExists
from flask_app.s3 import S3Folder
from flask_app.store.bundle import MANIFEST, VERSION_PATTERN, Bundle, M, checked
from flask_app.store.directory_store import DirectoryStore
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

logger = logging.getLogger(__name__)

MOVES = 20
"""How often to try to move the pointer while others do, too."""
KEPT_SECONDS = 3600.0
"""How long the cache keeps what is neither in production nor was before."""


class Cache(DirectoryStore[M]):
    """What an `S3Store` has verified; a store that is good to read where S3 is out of reach."""

    def production(self) -> Pointer | None:
        """See `Store.production`; a malformed pointer is as good as none."""
        with contextlib.suppress(StoreError):
            return super().production()
        return None

    def holds(self, version: str, manifest_sha256: str | None) -> bool:
        """Whether an undamaged `version` is here, with that manifest if one is given."""
        try:
            self._kind.open(self.path / version, manifest_sha256=manifest_sha256).verify()
        except BundleError:
            return False
        return True

    def keep(
        self, version: str, manifest_sha256: str | None, contents: Mapping[str, bytes]
    ) -> None:
        """Put `version` here unless another worker was faster."""
        with self._lock():
            if not self.holds(version, manifest_sha256):
                shutil.rmtree(self.path / version, ignore_errors=True)
                self._keep(version, contents)

    def follow(self, pointer: Pointer) -> None:
        """Point at what `pointer` names if it is here, and forget what is out of use."""
        if pointer.version not in self.versions() or pointer == self.production():
            return
        with self._lock():
            self._point(pointer)
            for version in {*self.versions()} - {pointer.version, pointer.previous}:
                unused = time.time() - (self.path / version).stat().st_mtime
                if unused > KEPT_SECONDS:  # else somebody may be loading it
                    shutil.rmtree(self.path / version)

    def use(self, version: str) -> Path:
        """Return where `version` is, which stays there for some time."""
        os.utime(self.path / version)
        return self.path / version


class S3Store(Generic[M]):
    """A `Store` in S3.

    Where S3 cannot be asked, `production` and `fetch` answer from the cache as far as it goes; all
    other operations raise `S3Error`.

    Args:
        url: s3://bucket/prefix.
        cache: Directory for what was read.
        kind: What it holds.
    """

    def __init__(self, url: str, cache: Path, kind: type[Bundle[M]]) -> None:
        self.unreachable = False
        self._folder = S3Folder(url)
        self._kind = kind
        self._cache = Cache(cache, kind)
        self._pointer: Pointer | None = None

    def __str__(self) -> str:
        return str(self._folder)

    def publish(self, directory: Path) -> str:
        """See `Store.publish`."""
        bundle = self._kind.open(directory)
        version = bundle.manifest.version
        contents = bundle.contents()
        manifest = contents.pop(MANIFEST)
        if self._folder.get(f"{version}/{MANIFEST}") is None:
            for name, content in contents.items():
                self._put_file(f"{version}/{name}", content)
            if self._folder.put(f"{version}/{MANIFEST}", manifest):
                return version
        try:
            self._download(version, None)
        except BundleError as error:
            raise VersionExists(
                f"{self} holds a damaged {version}, and versions are immutable ({error}): "
                "remove what it holds of it, then publish again"
            ) from error
        return version

    def versions(self) -> tuple[str, ...]:
        """See `Store.versions`."""
        names = (name.removesuffix(f"/{MANIFEST}") for name in self._folder.names())
        return tuple(sorted(name for name in names if re.fullmatch(VERSION_PATTERN, name)))

    def manifest(self, version: str) -> M:
        """See `Store.manifest`."""
        return self._read_manifest(version, None)[0]

    def fetch(self, version: str) -> Path:
        """See `Store.fetch`; raises `BundleError` for what is not as published."""
        pointer = self._pointer
        sha256 = pointer.manifest_sha256 if pointer and pointer.version == version else None
        if not self._cache.holds(version, sha256):
            self._cache.keep(version, sha256, self._download(version, sha256))
        if pointer:
            self._cache.follow(pointer)
        return self._cache.use(version)

    def production(self) -> Pointer | None:
        """See `Store.production`; raises `StoreError` for a pointer that is malformed."""
        try:
            pointer, _ = self._read_pointer()
        except S3Error as error:
            return self._last_pointer(error)
        if self.unreachable:
            logger.warning("%s answers again", self)
            self.unreachable = False
        if pointer:
            self._cache.follow(pointer)
        return pointer

    def promote(self, version: str) -> Pointer:
        """See `Store.promote`."""
        sha256 = self._manifest_sha256(version)
        return self._move(lambda current: promotion(current, version, sha256))

    def rollback(self) -> Pointer:
        """See `Store.rollback`."""

        def back(current: Pointer | None) -> Pointer:
            version = rollback_target(self, current)
            return make_pointer(version, self._manifest_sha256(version), previous=None)

        return self._move(back)

    def _put_file(self, name: str, content: bytes) -> None:
        """Put a file unless it is there already, from a writer that died before the manifest."""
        if not self._folder.put(name, content):
            found = self._folder.get(name)
            if found is None or found.content != content:
                raise VersionExists(
                    f"{self}/{name} has another content: remove it, then publish again"
                )

    def _move(self, choose: Callable[[Pointer | None], Pointer]) -> Pointer:
        """Point where `choose` says, from where the pointer is when it says so."""
        wanted = None
        for _ in range(MOVES):
            current, etag = self._read_pointer()
            if current is not None and current == wanted:
                return current  # it was written, the answer to it was lost
            wanted = choose(current)
            if wanted == current or self._folder.put(
                POINTER, encode_pointer(wanted), replacing=etag
            ):
                self._pointer = wanted
                return wanted
        raise StoreError(f"{self}/{POINTER} is moved by others all the time: try again")

    def _read_pointer(self) -> tuple[Pointer | None, str | None]:
        found = self._folder.get(POINTER)
        self._pointer = found and decode_pointer(f"{self}/{POINTER}", found.content)
        return self._pointer, found and found.etag

    def _last_pointer(self, error: S3Error) -> Pointer | None:
        """Return the pointer that the cache has kept; raises `error` if it has none."""
        if not self.unreachable:
            logger.warning("what %s held last is taken from %s: %s", self, self._cache, error)
            self.unreachable = True
        self._pointer = self._cache.production()
        if self._pointer is None:
            raise error
        return self._pointer

    def _read_manifest(self, version: str, sha256: str | None) -> tuple[M, bytes]:
        plain = re.fullmatch(VERSION_PATTERN, version)
        found = self._folder.get(f"{version}/{MANIFEST}") if plain else None
        if found is None:
            raise not_found(self, version)
        where = f"{self}/{version}/{MANIFEST}"
        manifest = self._kind.parse_manifest(where, checked(where, found.content, sha256))
        if manifest.version != version:
            raise BundleError(
                f"{where} is that of {manifest.version}: remove it, then publish {version}"
            )
        return manifest, found.content

    def _manifest_sha256(self, version: str) -> str:
        return hashlib.sha256(self._read_manifest(version, None)[1]).hexdigest()

    def _download(self, version: str, sha256: str | None) -> dict[str, bytes]:
        manifest, content = self._read_manifest(version, sha256)
        contents = {}
        for name, expected in manifest.files.items():
            where = f"{self}/{version}/{name}"
            found = self._folder.get(f"{version}/{name}")
            if found is None:
                raise BundleError(f"{where} is missing: publish the bundle again")
            contents[name] = checked(where, found.content, expected)
        return {**contents, MANIFEST: content}
