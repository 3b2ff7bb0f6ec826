"""A reader sees whole files, or none; a run is alone."""

from pathlib import Path

import pytest

from flask_app import files
from flask_app.errors import AlreadyRunning, JobError
from tests.limits import largest_file


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_replaced_and_all_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.prom"
    for content in (b"old", b"new"):
        files.write(path, content)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o644
    assert names(path.parent) == ["a.prom"]


def test_a_directory_appears_with_all_its_files(tmp_path: Path) -> None:
    files.write_directory(tmp_path / "report", {"a": b"1", "b": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "report").iterdir()} == {
        "a": b"1",
        "b": b"2",
    }
    assert names(tmp_path) == ["report"]


def test_on_a_full_disk_what_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.prom"
    files.write(path, b"old")
    with largest_file(1024):
        with pytest.raises(JobError, match=r"cannot be written .*with space left"):
            files.write(path, b"x" * 2000)
        with pytest.raises(JobError):
            files.write_directory(tmp_path / "report", {"a": b"1", "b": b"x" * 2000})
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.prom"]


def test_unfinished_files_are_hidden_and_no_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(files, "_delete", lambda _: None)
    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(Killed):
        files.write(tmp_path / "a.prom", b"")
    with pytest.raises(Killed):
        files.write_directory(tmp_path / "report", {})
    monkeypatch.undo()
    (tmp_path / "b.prom").touch()
    for name in names(tmp_path):
        assert name == "b.prom" or (name.startswith(".") and not name.endswith(".prom"))
    files.sweep(tmp_path)
    assert names(tmp_path) == ["b.prom"]


def test_a_directory_is_held_once(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    with (
        files.locked(reports),
        pytest.raises(AlreadyRunning, match="another run holds"),
        files.locked(reports),
    ):
        raise AssertionError
    with files.locked(reports):
        pass


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match="cannot be written"), files.locked(tmp_path / "file"):
        raise AssertionError
