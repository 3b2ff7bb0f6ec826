"""Checkov finds nothing, and each exception says why."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.tools import ROOT, copy

LOCK = ROOT / "requirements" / "checkov.txt"
FOLDER = ROOT / ".venv-checkov"


@pytest.fixture(scope="module")
def checkov() -> Path:
    """An environment of its own: it pins an old boto3."""
    stamp = FOLDER / ".locked"
    if not stamp.exists() or stamp.stat().st_mtime < LOCK.stat().st_mtime:
        uv = str(Path(sys.executable).with_name("uv"))
        python = ["--python", str(FOLDER)]
        for command in (
            ["venv", "--quiet", "--allow-existing", "--python", sys.executable, str(FOLDER)],
            ["pip", "sync", "--quiet", "--require-hashes", *python, str(LOCK)],
        ):
            subprocess.run([uv, *command], check=True)
        stamp.touch()
    return FOLDER / "bin" / "checkov"


def write_out_policies(bootstrap: Path) -> None:
    """Policies as checkov sees them: it does not follow `replace(file(...))`.

    The exceptions are those beside the resource that makes them.
    """
    main = (bootstrap / "main.tf").read_text()
    made = re.search(r'^resource "aws_iam_policy" .*?^}$', main, re.DOTALL | re.MULTILINE)
    assert made
    skips = re.findall(r"^ *# checkov:skip=.*$", made[0], re.MULTILINE)
    for policy in (bootstrap / "policies").glob("*.json"):
        (bootstrap / f"{policy.stem}.tf").write_text(
            f'resource "aws_iam_policy" "{policy.stem}" {{\n'
            + "\n".join(skips)
            + f'\n  name   = "{policy.stem}"\n  policy = jsonencode({policy.read_text()})\n}}\n'
        )


@pytest.fixture(scope="module")
def results(checkov: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What it says of a copy, since it reads downloaded modules too."""
    folder = copy(tmp_path_factory.mktemp("checkov") / "terraform")
    write_out_policies(folder / "bootstrap")
    done = subprocess.run(
        [checkov, "--config-file", ".checkov.yaml", "--output", "json", "--soft-fail"],
        cwd=folder,
        env=os.environ | {"LOG_LEVEL": "ERROR"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)["results"]  # type: ignore[no-any-return]


def test_checkov_finds_nothing(
    results: dict[str, Any], record_property: Callable[[str, object], None]
) -> None:
    for outcome in ("passed_checks", "skipped_checks"):
        record_property(outcome, len(results[outcome]))
        assert results[outcome]
    failed = [f"{check['check_id']} {check['resource']}" for check in results["failed_checks"]]
    assert (failed, results["parsing_errors"]) == ([], [])


def test_checkov_sees_the_policies_of_who_deploys(results: dict[str, Any]) -> None:
    seen = {check["resource"] for check in results["passed_checks"]}
    assert {f"aws_iam_policy.{name}" for name in ("boundary", "deployer", "planner")} <= seen


def test_each_exception_says_why(results: dict[str, Any]) -> None:
    for check in results["skipped_checks"]:
        reason = check["check_result"]["suppress_comment"]
        assert reason.endswith("."), check["check_id"]
        assert len(reason.split()) > 3, check["check_id"]
