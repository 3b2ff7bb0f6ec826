"""Both kinds of store keep the same promises."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flask_app.errors import (
    BundleError,
    ChecksumError,
    StoreError,
    VersionExists,
    VersionNotFound,
)
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import Predictor, load_version
from flask_app.model.stores import ModelStore
from flask_app.store.bundle import MANIFEST
from flask_app.store.store import POINTER
from tests.unit.model.stores import Backend

ABSENT = "absent-000000000000"


@pytest.fixture
def store(backend: Backend) -> ModelStore:
    return backend.open()


@pytest.fixture
def filled(store: ModelStore, pristine: tuple[Path, ...]) -> ModelStore:
    for bundle in pristine:
        store.publish(bundle)
    return store


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_store_that_is_not_there_is_empty(backend: Backend, store: ModelStore) -> None:
    assert store.versions() == ()
    assert store.production() is None
    assert backend.files() == {}


def test_publishing_keeps_a_copy_under_its_version(store: ModelStore, bundle: Path) -> None:
    (bundle / "unlisted.txt").write_text("not of the bundle")

    version = store.publish(bundle)

    assert store.versions() == (version,)
    assert store.manifest(version) == Bundle.open(bundle).manifest
    assert contents(store.fetch(version)) == {
        name: content for name, content in contents(bundle).items() if name != "unlisted.txt"
    }


def test_publishing_again_changes_nothing(
    backend: Backend, filled: ModelStore, bundle: Path
) -> None:
    before = backend.files()

    assert filled.publish(bundle) == bundle.name

    assert backend.files() == before


def test_a_held_version_is_never_written_over(
    backend: Backend, filled: ModelStore, bundle: Path, pristine: tuple[Path, ...]
) -> None:
    backend.write(f"{bundle.name}/model.onnx", b"damaged")

    with pytest.raises(VersionExists, match=rf"damaged {bundle.name}.*remove"):
        filled.publish(bundle)

    assert backend.read(f"{bundle.name}/model.onnx") == b"damaged"
    assert filled.publish(pristine[1]) == pristine[1].name


@pytest.mark.parametrize("name", ["model.onnx", MANIFEST])
def test_a_broken_bundle_is_not_published(
    backend: Backend, store: ModelStore, bundle: Path, name: str
) -> None:
    (bundle / name).write_bytes(b"broken")

    with pytest.raises(BundleError):
        store.publish(bundle)

    assert backend.files() == {}


def test_only_held_versions_are_fetched_and_promoted(filled: ModelStore) -> None:
    for wrong in (ABSENT, "..", "", "production.json", f"../store/{filled.versions()[0]}"):
        for operation in (filled.fetch, filled.manifest, filled.promote):
            with pytest.raises(VersionNotFound, match=filled.versions()[0]):
                operation(wrong)
    assert filled.production() is None


def test_promoting_points_at_a_version_and_remembers_the_one_before(
    backend: Backend, filled: ModelStore
) -> None:
    one, two, _ = filled.versions()

    first, second = filled.promote(one), filled.promote(two)

    assert (first.version, first.previous) == (one, None)
    assert (second.version, second.previous) == (two, one)
    assert filled.production() == backend.open().production() == second
    assert second.manifest_sha256 == hashlib.sha256(backend.read(f"{two}/{MANIFEST}")).hexdigest()
    document = json.loads(backend.read(POINTER))
    assert set(document) == {"version", "manifest_sha256", "promoted_at", "previous"}


def test_promoting_what_is_in_production_changes_nothing(
    backend: Backend, filled: ModelStore
) -> None:
    one, two, _ = filled.versions()
    filled.promote(one)
    pointer = filled.promote(two)
    before = backend.files()

    assert filled.promote(two) == pointer

    assert backend.files() == before


def test_rolling_back_goes_to_the_version_before_and_only_once(filled: ModelStore) -> None:
    one, two, three = filled.versions()
    filled.promote(one)
    filled.promote(two)

    assert filled.rollback().version == one
    with pytest.raises(StoreError, match=f"no previous version to roll back to.*{one}, {two}"):
        filled.rollback()

    assert filled.promote(three).previous == one
    assert filled.rollback().version == one


def test_nothing_promoted_is_nothing_to_roll_back(filled: ModelStore) -> None:
    with pytest.raises(StoreError, match="no previous version"):
        filled.rollback()


def test_rolling_back_to_a_version_that_is_gone_leaves_production_alone(
    backend: Backend, filled: ModelStore
) -> None:
    one, two, _ = filled.versions()
    filled.promote(one)
    pointer = filled.promote(two)
    backend.delete(one)

    with pytest.raises(VersionNotFound, match=one):
        filled.rollback()

    assert filled.production() == pointer


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"version": "../../x-000000000000"}', b'{"version": "x", "extra": 1}'],
)
def test_a_malformed_pointer_is_told(backend: Backend, filled: ModelStore, content: bytes) -> None:
    backend.write(POINTER, content)

    with pytest.raises(StoreError, match=r"production.json is not a pointer"):
        filled.production()


def test_a_damaged_file_does_not_load(backend: Backend, filled: ModelStore) -> None:
    pointer = filled.promote(filled.versions()[0])
    backend.write(f"{pointer.version}/model.onnx", b"damaged")

    with pytest.raises(ChecksumError, match=rf"{pointer.version}/model\.onnx has sha256"):
        load_version(filled, pointer.version)


def test_a_file_that_is_gone_does_not_load(backend: Backend, filled: ModelStore) -> None:
    version = filled.versions()[0]
    manifest = backend.read(f"{version}/{MANIFEST}")
    backend.delete(version)
    backend.write(f"{version}/{MANIFEST}", manifest)

    with pytest.raises(BundleError, match=rf"{version}/MODEL_CARD.md .*publish the bundle again"):
        load_version(filled, version)


def test_a_manifest_exchanged_after_promotion_does_not_load(
    backend: Backend, filled: ModelStore, pristine: tuple[Path, ...]
) -> None:
    one, two, _ = (path.name for path in pristine)
    pointer = filled.promote(one)
    for name, content in contents(pristine[1]).items():
        backend.write(f"{one}/{name}", content)

    with pytest.raises(ChecksumError, match=r"manifest\.json"):
        Predictor.load(filled.fetch(one), manifest_sha256=pointer.manifest_sha256)
    with pytest.raises(BundleError, match=rf"{one}.* (holds version|is that of) .*{two}"):
        load_version(backend.open(), one)


def test_many_writers_and_readers_at_once_leave_a_whole_store(
    backend: Backend, pristine: tuple[Path, ...]
) -> None:
    store = backend.open()

    def write(turn: int) -> None:
        mine = backend.open()
        mine.promote(mine.publish(pristine[turn % 3]))

    def read(_: int) -> None:
        pointer = store.production()
        if pointer:
            Bundle.open(store.fetch(pointer.version)).verify()

    with ThreadPoolExecutor(8) as threads:
        tasks = [threads.submit((write, read)[turn % 2], turn) for turn in range(60)]
    for task in tasks:
        task.result()

    assert store.versions() == tuple(sorted(path.name for path in pristine))
    pointer = store.production()
    assert pointer is not None
    assert pointer.previous in {*store.versions(), None} - {pointer.version}
    load_version(backend.open(), pointer.version)
    assert not [name for name in backend.files() if name.startswith(".")]
