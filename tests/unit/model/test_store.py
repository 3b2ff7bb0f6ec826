import hashlib
import json
import shutil
import stat
import subprocess
import sys
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
from flask_app.model.bundle import MANIFEST, Bundle
from flask_app.model.predictor import Predictor, load_version
from flask_app.model.store import DirectoryStore

ABSENT = "absent-000000000000"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


@pytest.fixture
def filled(store: DirectoryStore, pristine: tuple[Path, ...]) -> DirectoryStore:
    for bundle in pristine:
        store.publish(bundle)
    return store


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_store_that_is_not_there_is_empty(store: DirectoryStore) -> None:
    assert store.versions() == ()
    assert store.production() is None
    assert not store.path.exists()


def test_publishing_keeps_a_copy_under_its_version(store: DirectoryStore, bundle: Path) -> None:
    (bundle / "unlisted.txt").write_text("not of the bundle")

    version = store.publish(bundle)

    assert store.versions() == (version,)
    assert contents(store.fetch(version)) == {
        name: content for name, content in contents(bundle).items() if name != "unlisted.txt"
    }


def test_a_server_of_another_user_can_read_everything(filled: DirectoryStore) -> None:
    filled.promote(filled.versions()[0])

    for path in [filled.path / "production.json", *filled.path.glob("*-*/*")]:
        assert path.stat().st_mode & stat.S_IROTH, path
    for directory in filled.path.glob("*-*/"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o755


def test_publishing_again_changes_nothing(filled: DirectoryStore, bundle: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in filled.path.rglob("*")}

    assert filled.publish(bundle) == bundle.name

    assert {path: path.stat().st_mtime_ns for path in filled.path.rglob("*")} == before


def test_a_held_version_is_never_written_over(
    filled: DirectoryStore, bundle: Path, pristine: tuple[Path, ...]
) -> None:
    held = filled.fetch(bundle.name) / "model.onnx"
    held.chmod(0o644)
    held.write_bytes(b"damaged")

    with pytest.raises(VersionExists, match=rf"damaged {bundle.name}.*remove that directory"):
        filled.publish(bundle)

    assert held.read_bytes() == b"damaged"
    assert filled.publish(pristine[1]) == pristine[1].name


@pytest.mark.parametrize("name", ["model.onnx", MANIFEST])
def test_a_broken_bundle_is_not_published(store: DirectoryStore, bundle: Path, name: str) -> None:
    (bundle / name).write_bytes(b"broken")

    with pytest.raises(BundleError):
        store.publish(bundle)

    assert not store.path.exists()


def test_only_held_versions_are_fetched_and_promoted(filled: DirectoryStore) -> None:
    for wrong in (ABSENT, "..", "", "production.json", f"../store/{filled.versions()[0]}"):
        with pytest.raises(VersionNotFound, match=filled.versions()[0]):
            filled.fetch(wrong)
        with pytest.raises(VersionNotFound):
            filled.promote(wrong)
    assert filled.production() is None


def test_promoting_points_at_a_version_and_remembers_the_one_before(
    filled: DirectoryStore,
) -> None:
    one, two, _ = filled.versions()

    first, second = filled.promote(one), filled.promote(two)

    assert (first.version, first.previous) == (one, None)
    assert (second.version, second.previous) == (two, one)
    assert filled.production() == second
    manifest = (filled.fetch(two) / MANIFEST).read_bytes()
    assert second.manifest_sha256 == hashlib.sha256(manifest).hexdigest()
    document = json.loads((filled.path / "production.json").read_bytes())
    assert set(document) == {"version", "manifest_sha256", "promoted_at", "previous"}


def test_promoting_what_is_in_production_changes_nothing(filled: DirectoryStore) -> None:
    one, two, _ = filled.versions()
    filled.promote(one)
    pointer = filled.promote(two)
    before = (filled.path / "production.json").stat()

    assert filled.promote(two) == pointer

    after = (filled.path / "production.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_rolling_back_goes_to_the_version_before_and_only_once(filled: DirectoryStore) -> None:
    one, two, three = filled.versions()
    filled.promote(one)
    filled.promote(two)

    assert filled.rollback().version == one
    with pytest.raises(StoreError, match=f"no previous version to roll back to.*{one}, {two}"):
        filled.rollback()

    assert filled.promote(three).previous == one
    assert filled.rollback().version == one


def test_nothing_promoted_is_nothing_to_roll_back(filled: DirectoryStore) -> None:
    with pytest.raises(StoreError, match="no previous version"):
        filled.rollback()


def test_rolling_back_to_a_version_that_is_gone_leaves_production_alone(
    filled: DirectoryStore,
) -> None:
    one, two, _ = filled.versions()
    filled.promote(one)
    pointer = filled.promote(two)
    shutil.rmtree(filled.fetch(one))

    with pytest.raises(VersionNotFound, match=one):
        filled.rollback()

    assert filled.production() == pointer


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b'{"version": "../../x-000000000000"}', b'{"version": "x", "extra": 1}'],
)
def test_a_malformed_pointer_is_told(filled: DirectoryStore, content: bytes) -> None:
    (filled.path / "production.json").write_bytes(content)

    with pytest.raises(StoreError, match=r"production.json is not a pointer"):
        filled.production()


def test_a_manifest_exchanged_after_promotion_does_not_load(
    filled: DirectoryStore, pristine: tuple[Path, ...]
) -> None:
    one, two, _ = (path.name for path in pristine)
    pointer = filled.promote(one)
    shutil.rmtree(filled.fetch(one))
    shutil.copytree(filled.fetch(two), filled.path / one)

    with pytest.raises(ChecksumError, match=r"manifest\.json"):
        Predictor.load(filled.fetch(one), manifest_sha256=pointer.manifest_sha256)
    with pytest.raises(BundleError, match=f"{one} holds version {two}"):
        load_version(filled, one)


def test_a_store_below_a_file_is_told_with_its_path(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"file/store cannot be changed"):
        DirectoryStore(tmp_path / "file" / "store").publish(bundle)


def test_many_writers_and_readers_at_once_leave_a_whole_store(
    store: DirectoryStore, pristine: tuple[Path, ...]
) -> None:
    def write(turn: int) -> None:
        mine = DirectoryStore(store.path)
        mine.promote(mine.publish(pristine[turn % 3]))

    def read(_: int) -> None:
        pointer = store.production()
        if pointer:
            Bundle.open(
                store.fetch(pointer.version), manifest_sha256=pointer.manifest_sha256
            ).verify()

    with ThreadPoolExecutor(8) as threads:
        tasks = [threads.submit((write, read)[turn % 2], turn) for turn in range(60)]
    for task in tasks:
        task.result()

    assert store.versions() == tuple(sorted(path.name for path in pristine))
    pointer = store.production()
    assert pointer is not None
    assert pointer.previous in {*store.versions(), None} - {pointer.version}
    assert not list(store.path.glob(".staging-*"))


DYING_WRITERS = """
import itertools, os, shutil, signal, sys
from pathlib import Path
from flask_app.model.store import DirectoryStore

original, bundle = Path(sys.argv[1]), Path(sys.argv[2])
STEPS = {"open", "os.mkdir", "os.rename", "os.chmod", "os.remove", "fsync", "flock"}

def write(path, deadly):
    step = 0
    def die_at_step(event, *_):
        nonlocal step
        step += event in STEPS
        if event in STEPS and step == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
    fsync = os.fsync
    os.fsync = lambda descriptor: (die_at_step("fsync"), fsync(descriptor))
    sys.addaudithook(die_at_step)
    store = DirectoryStore(path)
    store.promote(store.publish(bundle))
    os._exit(0)

for deadly in itertools.count(1):
    path = original.with_name(f"killed-{deadly:02}")
    shutil.copytree(original, path)
    child = os.fork()
    if child == 0:
        write(path, deadly)
    _, status = os.waitpid(child, 0)
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
"""
"""Kills a writer that publishes and promotes at its first system call, another at its second ..."""


def test_a_writer_killed_at_any_step_leaves_a_whole_store(
    store: DirectoryStore, pristine: tuple[Path, ...]
) -> None:
    old, new = pristine[0].name, pristine[1].name
    store.promote(store.publish(pristine[0]))

    subprocess.run([sys.executable, "-c", DYING_WRITERS, store.path, pristine[1]], check=True)

    promoted = []
    *killed, finished = sorted(store.path.parent.glob("killed-*"))
    for path in killed:
        survivor = DirectoryStore(path)
        for version in survivor.versions():
            Bundle.open(survivor.fetch(version)).verify()
        pointer = survivor.production()
        assert pointer is not None
        load_version(survivor, pointer.version)
        promoted.append(pointer.version)
        # The next writer is not held up, and clears away what was left.
        assert survivor.promote(survivor.publish(pristine[1])).version == new
        assert survivor.versions() == tuple(sorted([old, new]))
        assert not list(path.glob(".staging-*"))
    assert len(killed) > 20
    assert promoted == sorted(promoted, key=[old, new].index)
    assert set(promoted) == {old, new}
    assert DirectoryStore(finished).production() is not None
