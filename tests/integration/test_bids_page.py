"""docs/bids.md says what the tables are, and its commands run."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_app.bids.tables import AUCTIONS, BIDS, Table
from flask_app.model.bundle import Bundle
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle
from tests.integration.server import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/bids.md").read_text()


@pytest.mark.parametrize("table", [AUCTIONS, BIDS], ids=lambda table: table.name)
def test_the_page_has_every_column(table: Table) -> None:
    rows = [
        f"| `{column.name}` | {column.type}{'' if column.required else ', optional'} "
        f"| {column.description} |"
        for column in table.columns
    ]
    section = PAGE.partition(f"**{table.name}**")[2].partition("**")[0]
    assert [line for line in section.splitlines() if line.startswith("| `")] == rows


class Shell:
    """Runs the page's commands in a directory and with a port of their own."""

    def __init__(self, directory: Path, store: Path) -> None:
        self._directory = directory
        self._desk = f"127.0.0.1:{free_port()}"
        self._environment = {
            "PYTHONPATH": str(ROOT),
            "SHILL_MODEL_STORE": str(store),
            "SHILL_REVIEW_BIND": self._desk,
            "PATH": "/bin",
        }
        self._groups: list[int] = []

    def run(self, command: str) -> str:
        """Run a command, which may leave something in the background; returns what it printed."""
        command = command.replace("127.0.0.1:8002", self._desk)
        shill = f"{shlex.quote(sys.executable)} -m flask_app"
        with subprocess.Popen(
            ["bash", "-c", re.sub(r"\bshill (?=\w)", f"{shill} ", command, count=1)],
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            self._groups.append(process.pid)
            printed, complaint = process.communicate()
        assert process.returncode == 0, command + complaint
        return printed.strip()

    def close(self) -> None:
        """End what is still running."""
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    store = DirectoryStore(tmp_path / "models", Bundle)
    store.promote(store.publish(make_bundle(tmp_path)))
    shell = Shell(tmp_path, store.path)
    yield shell
    shell.close()


def commands() -> Iterator[tuple[str, str]]:
    """The page's commands, and what each is said to print."""
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            # A command goes on until its quotation marks are closed and no backslash ends the line.
            lines = step.splitlines()
            length = next(
                n
                for n in range(1, len(lines) + 1)
                if "\n".join(lines[:n]).count('"') % 2 == 0 and not lines[n - 1].endswith("\\")
            )
            yield "\n".join(lines[:length]), "\n".join(lines[length:])


def test_the_commands_of_the_page_do_what_it_says(shell: Shell) -> None:
    for command, printed in commands():
        expected = re.escape(printed.strip()).replace(r"\.\.\.", ".*")
        expected = re.sub(r"(\\ ){2,}", " +", expected)  # a table is as wide as its content
        said = shell.run(command)
        assert not expected or re.fullmatch(expected, said, re.DOTALL), said
