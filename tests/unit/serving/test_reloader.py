"""The promoted model is loaded, a bad one is told, counted, and tried again ever less often."""

import logging
import shutil
import threading
import time
from pathlib import Path

import pytest

from flask_app.errors import StoreError
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import Predictor
from flask_app.serving import reloader
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.reloader import Reloader
from flask_app.store.directory_store import DirectoryStore
from flask_app.store.store import Pointer


class Subject:
    """A reloader, looked at from outside, in a time of its own."""

    def __init__(self, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.used: list[str] = []
        self.now = 1000.0
        self.metrics = ServiceMetrics()
        self.reloader = self.follow(store)
        monkeypatch.setattr(reloader.time, "monotonic", lambda: self.now)

    def follow(self, store: DirectoryStore, pinned: str = "") -> Reloader:
        return Reloader(
            "model",
            store,
            0.01,
            load=Predictor.load,
            use=self._use,
            failures=self.metrics.load_failures,
            tell_unreachable=self.metrics.store_unreachable,
            pinned=pinned,
        )

    def _use(self, predictor: Predictor) -> None:
        self.used.append(predictor.version)

    def failures(self, reason: str) -> float | None:
        registry = self.metrics.registry
        return registry.get_sample_value("shill_model_load_failures_total", {"reason": reason})


@pytest.fixture
def store(published: DirectoryStore, tmp_path: Path) -> DirectoryStore:
    """A store of one's own, with two versions, the first promoted."""
    return DirectoryStore(shutil.copytree(published.path, tmp_path / "store"), Bundle)


@pytest.fixture
def subject(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> Subject:
    return Subject(store, monkeypatch)


def damage(store: DirectoryStore, version: str) -> Path:
    file = store.fetch(version) / "model.onnx"
    file.chmod(0o644)
    file.write_bytes(b"x" + file.read_bytes()[1:])
    return file


def test_what_is_promoted_is_loaded_once(store: DirectoryStore, subject: Subject) -> None:
    first, second = store.versions()
    for _ in range(3):
        subject.reloader.check()
    assert subject.used == [first]
    store.promote(second)
    subject.reloader.check()
    store.rollback()
    subject.reloader.check()
    assert subject.used == [first, second, first]
    assert subject.reloader.obstacle == ""


def test_a_pinned_version_is_loaded_whatever_is_in_production(
    store: DirectoryStore, subject: Subject
) -> None:
    first, second = store.versions()
    pinned = subject.follow(store, pinned=second)
    for version in (first, second, first):
        store.promote(version)
        pinned.check()
    assert subject.used == [second]
    assert pinned.obstacle == ""


@pytest.mark.parametrize("fault", ["damaged", "absent"])
def test_a_pinned_version_that_cannot_be_loaded_is_never_replaced_by_another(
    store: DirectoryStore, subject: Subject, fault: str
) -> None:
    _, second = store.versions()
    if fault == "damaged":
        damage(store, second)
    else:
        shutil.rmtree(store.path / second)
    pinned = subject.follow(store, pinned=second)
    for _ in range(3):
        pinned.check()
    assert subject.used == []
    assert second in pinned.obstacle


def test_a_bad_model_is_told_once_and_tried_ever_less_often(
    store: DirectoryStore, subject: Subject, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = store.versions()
    subject.reloader.check()
    file = damage(store, second)
    store.promote(second)
    attempts = []
    for second_passed in range(200):
        before = subject.failures("checksum")
        subject.reloader.check()
        if subject.failures("checksum") != before:
            attempts.append(second_passed)
        subject.now += 1
    assert attempts == [0, 2, 6, 14, 30, 62, 122, 182]
    assert subject.used == [first]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert str(file) in errors[0].getMessage()
    assert str(file) in subject.reloader.obstacle


def test_another_promotion_is_tried_at_once(store: DirectoryStore, subject: Subject) -> None:
    first, second = store.versions()
    subject.reloader.check()
    damage(store, second)
    store.promote(second)
    subject.reloader.check()
    store.promote(first)
    subject.reloader.check()
    assert subject.used == [first]
    assert subject.reloader.obstacle == ""
    store.promote(second)
    subject.reloader.check()
    assert subject.failures("checksum") == 2


def test_a_repaired_bundle_is_loaded_at_the_next_attempt(
    store: DirectoryStore, subject: Subject, published: DirectoryStore
) -> None:
    _, second = store.versions()
    subject.reloader.check()
    file = damage(store, second)
    store.promote(second)
    subject.reloader.check()
    shutil.copy(published.fetch(second) / "model.onnx", file)
    subject.now += 2
    subject.reloader.check()
    assert subject.used[-1] == second
    assert subject.reloader.obstacle == ""


def test_a_worker_without_a_model_falls_back_to_the_previous_one_until_the_new_one_is_good(
    store: DirectoryStore, subject: Subject, published: DirectoryStore
) -> None:
    first, second = store.versions()
    file = damage(store, second)
    store.promote(second)
    subject.reloader.check()
    assert subject.used == [first]
    assert str(file) in subject.reloader.obstacle
    subject.now += 2
    subject.reloader.check()
    assert subject.used == [first], "the fallback is loaded once"
    shutil.copy(published.fetch(second) / "model.onnx", file)
    subject.now += 4
    subject.reloader.check()
    assert subject.used == [first, second]


def test_a_worker_whose_fallback_is_bad_too_says_so_and_lives(
    store: DirectoryStore, subject: Subject, caplog: pytest.LogCaptureFixture
) -> None:
    for version in store.versions():
        damage(store, version)
    store.promote(store.versions()[1])
    subject.reloader.check()
    assert subject.used == []
    assert "the previous model cannot be loaded either" in caplog.text


@pytest.mark.parametrize(
    ("error", "reason"),
    [(StoreError("gone"), "store"), (OSError("gone"), "store"), (RuntimeError("gone"), "internal")],
)
def test_a_store_that_fails_is_counted_and_survived(
    error: Exception, reason: str, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject.reloader.check()

    def fail(_store: DirectoryStore) -> Pointer:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(DirectoryStore, "production", fail)
        subject.reloader.check()
    assert subject.failures(reason) == 1
    assert subject.reloader.obstacle == "gone"
    subject.reloader.check()
    assert subject.reloader.obstacle == ""
    assert len(subject.used) == 1


def test_a_store_that_cannot_be_asked_is_told_by_a_gauge_while_it_lasts(
    store: DirectoryStore, subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gauge() -> float | None:
        return subject.metrics.registry.get_sample_value("shill_model_store_unreachable")

    assert gauge() == 0
    for unreachable in (True, False):
        monkeypatch.setattr(store, "unreachable", unreachable)
        subject.reloader.check()
        assert gauge() == unreachable


def test_a_store_that_hangs_holds_up_neither_start_nor_stop(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(reloader, "FIRST_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(reloader, "LAST_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(DirectoryStore, "production", lambda _store: answers.wait() and None)

    subject.reloader.start()
    subject.reloader.wait()
    subject.reloader.stop()

    assert subject.used == []
    assert subject.reloader.obstacle == "nothing has been looked for yet"
    answers.set()
    subject.reloader._thread.join()


def test_changes_are_followed_until_it_is_stopped(store: DirectoryStore, subject: Subject) -> None:
    first, second = store.versions()
    subject.reloader.start()
    subject.reloader.wait()
    assert subject.used == [first], "the first model is loaded before start returns"
    store.promote(second)
    for _ in range(1000):
        if subject.used == [first, second]:
            break
        time.sleep(0.01)
    subject.reloader.stop()
    assert subject.used == [first, second]
    store.promote(first)
    time.sleep(0.05)
    assert subject.used == [first, second]
