"""The commands of pages, run as a reader would: in their order, in one shell."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# A command goes on in lines that are indented; what else follows is its output.
COMMAND = re.compile(r"^\$ (.+(?:\n +.+)*)", re.MULTILINE)
MARK = "\x1e"


@dataclass(frozen=True)
class Step:
    """A command, what it wrote, and how it ended: None if an earlier one failed."""

    command: str
    output: str = ""
    status: int | None = None


def commands(text: str) -> list[str]:
    """The commands of a page, or of a part of one."""
    return [command for block in BLOCK.findall(text) for command in COMMAND.findall(block)]


def section(page: Path, heading: str) -> str:
    """A section of a page."""
    found = re.search(
        rf"^## {heading}\n(.*?)(?=^## |\Z)", page.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found, f"{page} has no section {heading}"
    return found[1]


def walk(steps: Sequence[str], folder: Path, environment: Mapping[str, str]) -> list[Step]:
    """Run commands in one shell until one fails."""
    script = "".join(
        f"printf '{MARK}'\n{step}\nstatus=$?; printf '{MARK}%s' $status; (exit $status) || exit\n"
        for step in steps
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    parts = done.stdout.split(MARK)[1:]
    ran = [
        Step(command, output, int(status))
        for command, output, status in zip(steps, parts[::2], parts[1::2], strict=False)
    ]
    return ran + [Step(command) for command in steps[len(ran) :]]
