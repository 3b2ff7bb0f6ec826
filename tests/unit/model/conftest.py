import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flask_app.model.bundle import Bundle, Manifest
from flask_app.store.bundle import MANIFEST
from tests.bundles import make_bundle
from tests.unit.model.stores import Backend, Directory, Prefix


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Three bundles, not to be changed."""
    parent = tmp_path_factory.mktemp("bundles")
    one, two, three = (make_bundle(parent, seed=seed) for seed in range(3))
    return one, two, three


@pytest.fixture
def bundle(pristine: tuple[Path, Path, Path], tmp_path: Path) -> Path:
    """A bundle of one's own."""
    return shutil.copytree(pristine[0], tmp_path / pristine[0].name)


@pytest.fixture
def reseal(bundle: Path) -> Callable[..., None]:
    """Changes fields of the bundle's manifest and gives it the version of its new content."""

    def change(**fields: Any) -> None:
        manifest: Manifest = msgspec.structs.replace(Bundle.open(bundle).manifest, **fields)
        manifest = msgspec.structs.replace(manifest, version=manifest.content_version())
        (bundle / MANIFEST).write_bytes(msgspec.json.encode(manifest))

    return change


@pytest.fixture(params=["directory", "s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """What an empty store keeps; each test that asks for it runs once for each kind of store."""
    if request.param == "directory":
        return Directory(tmp_path)
    return Prefix(request.getfixturevalue("s3"), tmp_path)
