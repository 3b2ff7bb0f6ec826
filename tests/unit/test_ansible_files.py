"""Ansible's module `files`, run as Ansible runs it: its arguments are JSON on standard input."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).parents[2] / "ansible/library/files.py"
OWNER = {"owner": str(os.getuid()), "group": str(os.getgid())}


def run(files: list[dict[str, Any]], *, check: bool = False, **arguments: object) -> dict[str, Any]:
    """What the module answers."""
    options = {"files": [OWNER | file for file in files], "_ansible_check_mode": check, **arguments}
    done = subprocess.run(
        [sys.executable, MODULE],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        capture_output=True,
        text=True,
        check=False,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def wanted(tmp_path: Path) -> list[dict[str, Any]]:
    """A directory and a file in it."""
    return [
        {"path": f"{tmp_path}/etc", "state": "directory", "mode": "0750"},
        {"path": f"{tmp_path}/etc/conf", "content": "x = ü\n", "mode": "0640"},
    ]


def test_it_makes_directories_and_files_once(tmp_path: Path, wanted: list[dict[str, Any]]) -> None:
    paths = [file["path"] for file in wanted]

    first, second = run(wanted), run(wanted)

    assert (first["changed"], first["paths"]) == (True, paths)
    assert (second["changed"], second["paths"], second["diff"]) == (False, [], [])
    assert (tmp_path / "etc/conf").read_text() == "x = ü\n"
    modes = [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("etc", "etc/conf")]
    assert modes == ["0o750", "0o640"]


def test_check_mode_shows_what_would_change_even_in_directories_that_are_missing(
    tmp_path: Path, wanted: list[dict[str, Any]]
) -> None:
    answer = run(wanted, check=True)

    assert answer["paths"] == [file["path"] for file in wanted]
    assert answer["diff"][1]["after"] == "x = ü\n"
    assert list(tmp_path.iterdir()) == []


def test_content_and_mode_are_corrected(tmp_path: Path, wanted: list[dict[str, Any]]) -> None:
    run(wanted)
    file = tmp_path / "etc/conf"
    file.write_text("x = 2\n")
    assert run(wanted)["diff"][0]["before"] == "x = 2\n"
    file.chmod(0o644)

    planned, done = run(wanted, check=True), run(wanted)

    assert planned["paths"] == done["paths"] == [str(file)]
    assert file.read_text() == "x = ü\n"
    assert oct(file.stat().st_mode & 0o777) == "0o640"


def test_without_force_a_file_keeps_its_content(tmp_path: Path) -> None:
    key = {"path": f"{tmp_path}/key", "mode": "0400", "force": False}
    assert run([key | {"content": "one"}])["changed"]
    assert not run([key | {"content": "two"}])["changed"]
    assert (tmp_path / "key").read_text() == "one"


def test_an_empty_template_makes_an_empty_file(tmp_path: Path) -> None:
    assert run([{"path": f"{tmp_path}/empty", "content": None, "mode": "0600"}])["changed"]
    assert (tmp_path / "empty").read_bytes() == b""


def test_what_the_list_does_not_name_is_purged(
    tmp_path: Path, wanted: list[dict[str, Any]]
) -> None:
    run(wanted)
    former = tmp_path / "etc/former"
    former.write_text("old\n")

    planned = run(wanted, check=True, purge=[f"{tmp_path}/etc", f"{tmp_path}/nowhere"])
    assert former.exists()
    done = run(wanted, purge=[f"{tmp_path}/etc", f"{tmp_path}/nowhere"])

    assert planned["paths"] == done["paths"] == [str(former)]
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["conf"]


def test_nothing_is_written_when_a_program_refuses_one_of_the_files(tmp_path: Path) -> None:
    good = {"path": f"{tmp_path}/good", "content": "x = 1\n", "mode": "0644"}
    bad = {"path": f"{tmp_path}/bad", "content": "x = 2\n", "mode": "0644"}
    check = {"validate": "grep --with-filename 1 %s"}

    refused = run([good | check, bad | {"validate": "ls /nowhere-%s"}])
    assert refused["failed"]
    assert refused["msg"] == (
        f"{tmp_path}/bad: `ls /nowhere-%s` refuses the new content, so no file of the list was "
        "written: correct what it says"
    )
    assert "nowhere" in refused["stderr"]
    assert list(tmp_path.iterdir()) == []

    assert run([good | check])["changed"]
    # A content that is in its place is not checked again.
    assert not run([good | {"validate": "ls /nowhere-%s"}])["changed"]


def test_a_directory_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    answer = run([{"path": str(tmp_path), "content": "", "mode": "0644"}])
    assert answer["failed"]
    assert answer["msg"] == f"{tmp_path} is a directory, where a file is wanted: remove it"
