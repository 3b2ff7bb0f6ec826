"""What only a directory has: modes, renames, locks."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flask_app.cli import main
from flask_app.errors import StoreError
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import load_version
from flask_app.model.stores import open_store
from flask_app.settings import Settings
from flask_app.store.directory_store import DirectoryStore


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store", Bundle)


def test_a_path_is_the_setting_of_a_directory(store: DirectoryStore) -> None:
    opened = open_store(Settings(model_store=str(store.path)))

    assert isinstance(opened, DirectoryStore)
    assert opened.path == store.path


def test_reading_makes_nothing(store: DirectoryStore) -> None:
    assert (store.versions(), store.production()) == ((), None)
    assert not store.path.exists()


def test_a_server_of_another_user_can_read_everything(
    store: DirectoryStore, pristine: tuple[Path, ...]
) -> None:
    store.promote(store.publish(pristine[0]))

    for path in [store.path / "production.json", *store.path.glob("*-*/*")]:
        assert path.stat().st_mode & stat.S_IROTH, path
    for directory in store.path.glob("*-*/"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o755


def test_a_store_below_a_file_is_told_with_its_path(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"file/store cannot be changed"):
        DirectoryStore(tmp_path / "file" / "store", Bundle).publish(bundle)


DYING_WRITERS = """
import itertools, os, shutil, signal, sys
from pathlib import Path
from flask_app.model.bundle import Bundle
from flask_app.store.directory_store import DirectoryStore

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
    store = DirectoryStore(path, Bundle)
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
        survivor = DirectoryStore(path, Bundle)
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
    assert DirectoryStore(finished, Bundle).production() is not None


@pytest.mark.parametrize("action", [["list"], ["verify"], ["path"], ["promote", "x-0123456789ab"]])
def test_a_store_that_may_not_be_read_is_told_without_a_traceback(
    tmp_path: Path,
    action: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(path: Path, *_: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setenv("SHILL_MODEL_STORE", str(tmp_path))
    monkeypatch.setattr(Path, "iterdir", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert main(["model", *action]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path} cannot be read ([Errno 13] Permission denied")
