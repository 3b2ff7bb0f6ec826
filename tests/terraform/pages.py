"""Tables of docs/terraform.md, from terraform/ itself.

`python -m tests.terraform.pages` writes them anew. It reads what `terraform fmt` has formatted, so
attributes are where that puts them.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import tables
from tests.terraform.tools import ROOT, TERRAFORM, Workspace, cli_environment

PAGE = ROOT / "docs" / "terraform.md"
BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}$', re.DOTALL | re.MULTILINE)
ATTRIBUTE = re.compile(r"^  (\w+) += (.*?)(?=^  \w|\Z)", re.DOTALL | re.MULTILINE)
RUN = re.compile(
    r'^run "(\w+)" \{\n  command = plan\n\n  variables \{\n(.*?)^  \}\n\n'
    r"  expect_failures = \[var\.(\w+)\]\n\}$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Refusal:
    """What is said of a bad value, and by which line of variables.tf."""

    run: str
    variable: str
    values: str
    message: str
    line: int


def blocks(file: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each variable or output of a file, with its attributes as they are written."""
    for _, name, body in BLOCK.findall(file.read_text()):
        attributes = re.split(r"^  validation \{$", body, maxsplit=1, flags=re.MULTILINE)[0]
        yield name, {key: " ".join(text.split()) for key, text in ATTRIBUTE.findall(attributes)}


def variables_table() -> str:
    rows = ["| Variable | Type | Default | |", "|---|---|---|---|"]
    for name, block in blocks(TERRAFORM / "variables.tf"):
        default = f"`{block['default']}`" if "default" in block else "required"
        rows.append(
            f"| `{name}` | `{block['type']}` | {default} | {json.loads(block['description'])} |"
        )
    return "\n".join(rows) + "\n"


def outputs_table() -> str:
    rows = ["| Output | |", "|---|---|"]
    for name, block in blocks(TERRAFORM / "outputs.tf"):
        rows.append(f"| `{name}` | {json.loads(block['description'])} |")
    return "\n".join(rows) + "\n"


def broken_runs() -> list[tuple[str, str, str]]:
    """Name, bad values and the variable that must refuse them, of each run that breaks one."""
    text = (TERRAFORM / "tests" / "validations.tftest.hcl").read_text()
    return [(name, values, variable) for name, values, variable in RUN.findall(text)]


def refusals(folder: Path) -> list[Refusal]:
    """Give Terraform each bad value. Variables alone need no provider, so this takes seconds."""
    shutil.copy(TERRAFORM / "variables.tf", folder)
    workspace = Workspace(folder, cli_environment(folder))
    found = []
    for name, values, variable in broken_runs():
        lines = [" ".join(line.split()) for line in values.strip().splitlines()]
        (folder / "bad.auto.tfvars").write_text("\n".join(lines) + "\n")
        plan = workspace.run("plan", "-json", "-input=false", check=False)
        events = map(json.loads, plan.stdout.splitlines())
        for event in events:
            if event["@level"] != "error":
                continue
            message, _, rule = event["diagnostic"]["detail"].partition("\n\n")
            place = re.search(r"variables\.tf:(\d+)", rule)
            assert place, event
            found.append(
                Refusal(
                    name, variable, "<br>".join(f"`{x}`" for x in lines), message, int(place[1])
                )
            )
    return found


def refusals_table(found: list[Refusal]) -> str:
    rows = ["| Bad value | What is said |", "|---|---|"]
    rows += [f"| {refusal.values} | {refusal.message} |" for refusal in found]
    return "\n".join(rows) + "\n"


def write() -> None:
    tables.write(PAGE, "variables", variables_table())
    tables.write(PAGE, "outputs", outputs_table())
    if shutil.which("terraform"):
        with tempfile.TemporaryDirectory() as folder:
            tables.write(PAGE, "validations", refusals_table(refusals(Path(folder))))


if __name__ == "__main__":
    write()
