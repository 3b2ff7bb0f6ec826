"""The two kinds of model store, each with a way to what it keeps that does not lead through it."""

import shutil
from pathlib import Path
from typing import Protocol

from flask_app.model.bundle import Bundle
from flask_app.model.stores import ModelStore
from flask_app.store.directory_store import DirectoryStore
from flask_app.store.s3_store import S3Store
from tests.s3 import BUCKET, S3


class Backend(Protocol):
    """What a store keeps."""

    setting: str

    def open(self) -> ModelStore:
        """A store that has seen nothing yet."""

    def read(self, name: str) -> bytes: ...

    def write(self, name: str, content: bytes) -> None: ...

    def delete(self, version: str) -> None: ...

    def files(self) -> dict[str, str]:
        """Return what tells each file from one written later, by name."""


class Directory:
    """A directory."""

    def __init__(self, parent: Path) -> None:
        self.path = parent / "store"
        self.setting = str(self.path)

    def open(self) -> DirectoryStore:
        return DirectoryStore(self.path, Bundle)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    def delete(self, version: str) -> None:
        shutil.rmtree(self.path / version)

    def files(self) -> dict[str, str]:
        return {
            path.relative_to(self.path).as_posix(): f"{path.stat().st_ino} {path.stat().st_mtime}"
            for path in self.path.rglob("[!.]*")
            if path.is_file()
        }


class Prefix:
    """A prefix of a bucket; what is changed here, the store's cache has not seen yet."""

    def __init__(self, s3: S3, parent: Path) -> None:
        self.s3 = s3
        self.cache = parent / "cache"
        self.setting = f"s3://{BUCKET}/models"

    def open(self) -> S3Store:
        return S3Store(self.setting, self.cache, Bundle)

    def read(self, name: str) -> bytes:
        return self.s3.read(f"models/{name}")

    def write(self, name: str, content: bytes) -> None:
        self.s3.write(f"models/{name}", content)
        shutil.rmtree(self.cache, ignore_errors=True)

    def delete(self, version: str) -> None:
        self.s3.delete(f"models/{version}/")
        shutil.rmtree(self.cache, ignore_errors=True)

    def files(self) -> dict[str, str]:
        return {key.removeprefix("models/"): tag for key, tag in self.s3.objects("models/").items()}
