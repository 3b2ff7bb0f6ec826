"""docs/bids.md says what the tables are, and its commands run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flask_app.bids.tables import AUCTIONS, BIDS, Table
from flask_app.model.bundle import Bundle
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle

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


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "models", Bundle)
    store.promote(store.publish(make_bundle(tmp_path)))
    shill = f"{shlex.quote(sys.executable)} -m flask_app"
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            # A command goes on until its quotation marks are closed.
            lines = step.splitlines()
            length = next(
                n for n in range(1, len(lines) + 1) if "\n".join(lines[:n]).count('"') % 2 == 0
            )
            command, printed = "\n".join(lines[:length]), "\n".join(lines[length:])
            done = subprocess.run(
                ["bash", "-c", re.sub(r"\bshill\b", shill, command, count=1)],
                cwd=tmp_path,
                env={"PYTHONPATH": str(ROOT), "SHILL_MODEL_STORE": str(store.path), "PATH": "/bin"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            expected = re.escape(printed.strip()).replace(r"\.\.\.", ".*")
            assert not expected or re.fullmatch(expected, done.stdout.strip(), re.DOTALL), command
