"""What only a store in S3 has: outages, lost answers, and a cache that outlives both."""

import itertools
import logging
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from flask_app.errors import BundleError, S3Error, StoreError, VersionExists
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import load_version
from flask_app.model.stores import open_store
from flask_app.settings import Settings
from flask_app.store.bundle import MANIFEST
from flask_app.store.directory_store import DirectoryStore
from flask_app.store.s3_store import S3Store
from flask_app.store.store import POINTER
from tests.s3 import S3
from tests.unit.model.stores import Prefix


@pytest.fixture
def backend(s3: S3, tmp_path: Path) -> Prefix:
    return Prefix(s3, tmp_path)


@pytest.fixture
def store(backend: Prefix, pristine: tuple[Path, ...]) -> S3Store:
    """A store of two versions, the second in production after the first."""
    store = backend.open()
    for bundle in pristine[:2]:
        store.promote(store.publish(bundle))
    return store


def serve(store: S3Store) -> str:
    """Load what is in production, as a server does; returns its version."""
    pointer = store.production()
    assert pointer is not None
    return load_version(store, pointer.version).version


@pytest.mark.usefixtures("s3")
def test_a_url_is_the_setting_of_a_store_in_s3(tmp_path: Path) -> None:
    store = open_store(Settings(model_store="s3://shill-tests/a/b/", model_cache=tmp_path))

    assert isinstance(store, S3Store)
    assert str(store) == "s3://shill-tests/a/b"


def test_one_bucket_holds_several_stores(s3: S3, tmp_path: Path, bundle: Path) -> None:
    names = ("s3://shill-tests", "s3://shill-tests/models", "s3://shill-tests/models2")
    for number, url in enumerate(names):
        S3Store(url, tmp_path / str(number), Bundle).publish(bundle)
        assert S3Store(url, tmp_path / str(number), Bundle).versions() == (bundle.name,)
    assert len(s3.objects()) == 3 * len(list(bundle.iterdir()))


def test_a_restart_without_s3_serves_what_was_served_last(
    backend: Prefix, store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    in_use = serve(store)
    backend.s3.cut = True

    restarted = backend.open()
    assert serve(restarted) == in_use
    assert serve(restarted) == in_use
    assert restarted.unreachable
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "cannot be read" in warnings[0]
    assert str(backend.cache) in warnings[0]


def test_changes_are_taken_up_when_s3_is_back(
    backend: Prefix, store: S3Store, pristine: tuple[Path, ...]
) -> None:
    serve(store)
    backend.s3.cut = True
    serve(store)
    backend.s3.cut = False
    elsewhere = S3Store(backend.setting, backend.cache.with_name("elsewhere"), Bundle)
    elsewhere.promote(elsewhere.publish(pristine[2]))

    assert serve(store) == pristine[2].name
    assert not store.unreachable


def test_without_s3_and_without_a_cache_there_is_nothing_to_serve(
    backend: Prefix, store: S3Store
) -> None:
    backend.s3.cut = True

    with pytest.raises(S3Error, match=r"production.json cannot be read.*check the network"):
        store.production()
    assert store.unreachable
    with pytest.raises(S3Error):
        store.fetch(store._pointer.version if store._pointer else "tests-000000000000")


def test_without_s3_nothing_is_published_promoted_or_listed(
    backend: Prefix, store: S3Store, pristine: tuple[Path, ...]
) -> None:
    serve(store)
    backend.s3.cut = True

    for operation in (
        lambda: store.publish(pristine[2]),
        lambda: store.promote(pristine[0].name),
        store.rollback,
        store.versions,
        lambda: store.manifest(pristine[0].name),
    ):
        with pytest.raises(S3Error, match="check the network"):
            operation()


def test_an_outage_between_the_pointer_and_the_bundle_leaves_the_cache_as_it_was(
    backend: Prefix, store: S3Store, pristine: tuple[Path, ...]
) -> None:
    in_use = serve(store)
    other = S3Store(backend.setting, backend.cache.with_name("elsewhere"), Bundle)
    other.promote(other.publish(pristine[2]))
    pointer = store.production()
    assert pointer is not None
    backend.s3.cut = True

    with pytest.raises(S3Error):
        store.fetch(pointer.version)
    assert serve(backend.open()) == in_use


def test_the_cache_is_a_store_of_what_is_in_use_and_of_what_a_rollback_needs(
    backend: Prefix, store: S3Store, pristine: tuple[Path, ...]
) -> None:
    one, two, three = (bundle.name for bundle in pristine)
    store.rollback()
    for version in (one, two):
        store.promote(version)
        serve(store)
    cache = DirectoryStore(backend.cache, Bundle)
    assert cache.production() == store.production()
    assert set(cache.versions()) == {one, two}

    store.publish(pristine[2])
    store.promote(three)
    serve(store)
    assert set(cache.versions()) == {one, two, three}, "somebody may be loading the oldest yet"

    os.utime(backend.cache / one, (0, 0))
    for version in (two, three):
        store.promote(version)
        serve(store)
    assert set(cache.versions()) == {two, three}
    assert cache.rollback().version == two


def test_what_is_verified_is_not_downloaded_again(backend: Prefix, store: S3Store) -> None:
    serve(store)
    before = backend.s3.requests

    serve(backend.open())

    assert backend.s3.requests - before == 1, "it asks for the pointer alone"


@pytest.mark.parametrize("name", ["model.onnx", MANIFEST])
def test_a_cache_that_is_damaged_is_filled_anew(backend: Prefix, store: S3Store, name: str) -> None:
    in_use = serve(store)
    damaged = backend.cache / in_use / name
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged")

    assert serve(backend.open()) == in_use


def test_a_cached_pointer_that_is_damaged_is_written_anew(backend: Prefix, store: S3Store) -> None:
    in_use = serve(store)
    (backend.cache / POINTER).write_bytes(b"damaged")

    assert serve(backend.open()) == in_use
    backend.s3.cut = True
    assert serve(backend.open()) == in_use


def test_the_same_model_with_another_manifest_is_downloaded(
    backend: Prefix, store: S3Store, bundle: Path
) -> None:
    """As when a version was removed, trained again and promoted: it has another date."""
    store.promote(bundle.name)
    serve(store)
    manifest = Bundle.open(bundle).manifest
    later = msgspec.structs.replace(manifest, created_at=manifest.created_at.replace(year=2027))
    (bundle / MANIFEST).write_bytes(msgspec.json.encode(later))
    backend.s3.delete(f"models/{bundle.name}/")
    store.publish(bundle)
    store.promote(bundle.name)

    serve(store)

    assert DirectoryStore(backend.cache, Bundle).manifest(bundle.name) == later


def test_a_publisher_that_dies_at_any_request_shows_all_or_nothing(
    backend: Prefix, pristine: tuple[Path, ...]
) -> None:
    s3, (one, two) = backend.s3, pristine[:2]
    backend.open().promote(backend.open().publish(one))
    seen = []
    for number in itertools.count(1):
        s3.last = s3.requests + number
        store = backend.open()
        try:
            store.promote(store.publish(two))
        except SystemExit:
            s3.last = 0
        else:
            break
        survivor = backend.open()
        for version in survivor.versions():
            load_version(survivor, version)
        seen.append((survivor.versions(), survivor.production().version))  # type: ignore[union-attr]
        for state in ("whole", "not begun"):
            assert backend.open().publish(two) == two.name, state
            backend.open().promote(one.name)
            shutil.rmtree(backend.cache, ignore_errors=True)
            backend.delete(two.name)
    s3.last = 0
    assert len(seen) > 6
    assert ((one.name,), one.name) in seen
    assert (tuple(sorted([one.name, two.name])), one.name) in seen
    assert backend.open().production().version == two.name  # type: ignore[union-attr]


def test_no_answer_that_is_lost_changes_the_outcome(
    backend: Prefix, pristine: tuple[Path, ...]
) -> None:
    """The request was carried out; sent again, its condition fails on its own effect."""
    s3, (one, two) = backend.s3, pristine[:2]
    backend.open().promote(backend.open().publish(one))
    for number in itertools.count(1):
        store, before = backend.open(), s3.requests
        s3.answers_to_lose = {before + number}
        store.publish(two)
        promoted = store.promote(two.name)
        assert (promoted.version, promoted.previous) == (two.name, one.name)
        rolled_back = store.rollback()
        assert (rolled_back.version, rolled_back.previous) == (one.name, None)
        if s3.requests < before + number:
            break
        backend.delete(two.name)
    assert number > 10


def test_a_leftover_with_another_content_is_not_made_a_version(
    backend: Prefix, pristine: tuple[Path, ...]
) -> None:
    name = pristine[0].name
    backend.write(f"{name}/model.onnx", b"of another bundle")

    with pytest.raises(VersionExists, match=rf"{name}/model\.onnx has another content"):
        backend.open().publish(pristine[0])
    assert backend.open().versions() == ()


def test_two_that_promote_at_once_take_turns(
    backend: Prefix, store: S3Store, pristine: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _, three = (bundle.name for bundle in pristine)
    store.publish(pristine[2])
    read = S3Store._read_pointer
    rivals = iter([one])

    def read_and_be_overtaken(self: S3Store) -> object:
        answer = read(self)
        for rival in rivals:
            backend.open().promote(rival)
        return answer

    monkeypatch.setattr(S3Store, "_read_pointer", read_and_be_overtaken)

    pointer = store.promote(three)

    assert (pointer.version, pointer.previous) == (three, one)
    assert backend.open().production() == pointer


def test_a_pointer_that_never_stands_still_is_given_up(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(store._folder), "put", lambda *_arguments, **_options: False)

    with pytest.raises(StoreError, match="moved by others all the time"):
        store.rollback()


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_not_there_is_no_empty_store(tmp_path: Path) -> None:
    store = S3Store("s3://absent/models", tmp_path, Bundle)

    with pytest.raises(S3Error, match="NoSuchBucket"):
        store.production()
    with pytest.raises(S3Error, match="NoSuchBucket"):
        store.versions()


def test_an_exchanged_version_is_refused(
    backend: Prefix, store: S3Store, pristine: tuple[Path, ...]
) -> None:
    in_use = serve(store)
    backend.write(f"{in_use}/{MANIFEST}", (pristine[0] / MANIFEST).read_bytes())

    with pytest.raises(BundleError):
        serve(backend.open())
