"""The command line explains itself, and lists for programs too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flask_app import __version__, cli
from flask_app.cli import COMMANDS, EXTRAS, main
from flask_app.settings import Settings


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_s_help_has_an_example_and_its_exit_statuses(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    said = capsys.readouterr().out
    assert caught.value.code == 0
    assert f"shill {command}" in said
    assert "Example" in said
    assert "Exit status: 0" in said


def test_the_help_names_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"    {command}" in said for command in COMMANDS)


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"shill {__version__}\n"


@pytest.mark.parametrize("command", EXTRAS)
def test_a_missing_dependency_is_named_with_the_extra_that_brings_it(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_name: str) -> None:
        raise ModuleNotFoundError("No module named 'gone'", name="gone")

    monkeypatch.setattr(cli.importlib, "import_module", refuse)
    assert main([command]) == 1
    assert capsys.readouterr().err == (
        f"error: {command} needs the module gone, which is not installed: "
        f"pip install 'shill-bidding[{EXTRAS[command]}]'\n"
    )


def test_settings_are_listed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--json"]) == 0
    listed = {item["variable"]: item for item in json.loads(capsys.readouterr().out)}
    assert listed["SHILL_WORKERS"]["default"] == Settings().workers
    assert listed["SHILL_LOG_DIR"]["default"] == "predictions"


def test_serve_refuses_a_wrong_setting_before_it_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask_app", "serve"],
        env={"SHILL_WORKERS": "many", "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: SHILL_WORKERS='many' is not of type int")
    assert "Traceback" not in done.stderr
