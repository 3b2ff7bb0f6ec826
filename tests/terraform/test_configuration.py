"""terraform/ is formatted, valid, described, and plans what it should."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tables
from tests.terraform.pages import (
    PAGE,
    Refusal,
    blocks,
    broken_runs,
    outputs_table,
    refusals,
    refusals_table,
    variables_table,
)
from tests.terraform.tools import ROOT, TERRAFORM, Workspace

SOURCES = [path for path in sorted(TERRAFORM.rglob("*.tf")) if ".terraform" not in path.parts]
VALIDATIONS = "validations.tftest.hcl"
PLANS = [path for path in sorted(TERRAFORM.glob("tests/*.tftest.hcl")) if path.name != VALIDATIONS]


@pytest.fixture(scope="module")
def root(workspace: Callable[..., Workspace]) -> Workspace:
    return workspace("root")


@pytest.fixture(scope="module")
def found_refusals(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> list[Refusal]:
    assert environment
    return refusals(tmp_path_factory.mktemp("refusals"))


def test_it_is_formatted(environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", "-recursive", "-no-color"],
        cwd=TERRAFORM,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.usefixtures("chain_begun")
@pytest.mark.parametrize("folder", [".", "bootstrap", "spark"])
def test_it_is_valid(workspace: Callable[..., Workspace], folder: str) -> None:
    workspace("valid", folder=folder).run("validate", "-no-color")


@pytest.mark.usefixtures("chain_begun")
@pytest.mark.parametrize("file", PLANS, ids=lambda file: file.name.partition(".")[0])
def test_the_plan_has_what_it_should(root: Workspace, file: Path) -> None:
    root.run("test", "-no-color", f"-filter=tests/{file.name}")


def test_each_bad_value_is_refused_by_its_variable(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """Variables alone, without a provider, are tested in seconds."""
    (tmp_path / "tests").mkdir()
    for name in ("variables.tf", f"tests/{VALIDATIONS}"):
        (tmp_path / name).write_text((TERRAFORM / name).read_text())
    (tmp_path / "tests" / "mocks").mkdir()
    passed = Workspace(tmp_path, environment).run("test", "-no-color").stdout
    assert f"{len(broken_runs())} passed, 0 failed" in passed


def test_each_validation_is_broken_once(found_refusals: list[Refusal]) -> None:
    """By its line, since one that refuses everything would pass for the others."""
    lines = (TERRAFORM / "variables.tf").read_text().splitlines()
    written = {number for number, line in enumerate(lines, 1) if line == "  validation {"}
    assert {refusal.line for refusal in found_refusals} == written


def test_no_run_that_breaks_a_variable_is_overlooked(found_refusals: list[Refusal]) -> None:
    text = (TERRAFORM / "tests" / VALIDATIONS).read_text()
    assert [refusal.run for refusal in found_refusals] == re.findall(
        r'^run "(\w+)"', text, re.MULTILINE
    )


def test_each_refusal_names_the_variable_and_the_remedy(found_refusals: list[Refusal]) -> None:
    remedies = r"write|choose|name|set|add|raise|rename|give|change|count|take"
    for refusal in found_refusals:
        assert refusal.message.startswith(refusal.variable), refusal
        assert re.search(rf"[:,] (?:or )?(?:{remedies})\b", refusal.message), refusal


def test_alarms_are_about_metrics_that_there_are() -> None:
    alarms = (TERRAFORM / "modules" / "operations" / "alarms.tf").read_text()
    metrics = set(re.findall(r"\b(shill_\w+)\b", alarms))
    assert metrics
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert {metric for metric in metrics if not re.search(rf"\b{metric}\b", page)} == set()


def test_nothing_is_put_into_a_host() -> None:
    assert SOURCES
    for source in SOURCES:
        code = re.sub(r"#.*", "", source.read_text())
        assert not re.search(r"user_data|remote-exec|local-exec|cloudinit", code), source


@pytest.mark.parametrize(
    "file",
    [path for path in SOURCES if path.name in ("variables.tf", "outputs.tf")],
    ids=lambda path: str(path.relative_to(TERRAFORM)),
)
def test_each_variable_and_output_is_described_and_typed(file: Path) -> None:
    described = dict(blocks(file))
    assert described
    for name, block in described.items():
        assert block["description"].endswith('."'), name
        assert file.name == "outputs.tf" or block["type"] != "any", name


def test_defaults_open_nothing() -> None:
    variables = dict(blocks(TERRAFORM / "variables.tf"))
    assert variables["allowed_ssh_cidr"]["default"] == "[]"
    assert variables["allowed_web_cidr"]["default"] == "[]"


def test_the_example_sets_only_what_there_is() -> None:
    example = (TERRAFORM / "terraform.tfvars.example").read_text()
    named = set(re.findall(r"^(?:# )?(\w+) +=", example, re.MULTILINE))
    assert named <= dict(blocks(TERRAFORM / "variables.tf")).keys()


@pytest.mark.parametrize(
    ("name", "table"), [("variables", variables_table), ("outputs", outputs_table)]
)
def test_the_page_tells_each(name: str, table: Callable[[], str]) -> None:
    assert tables.read(PAGE, name) == table(), "run python -m tests.terraform.pages"


def test_the_page_tells_each_refusal(found_refusals: list[Refusal]) -> None:
    told = tables.read(PAGE, "validations")
    assert told == refusals_table(found_refusals), "run python -m tests.terraform.pages"
