"""The workflows name what exists, and docs/cicd.md names what they need."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from flask_app import __version__
from tests import run
from tests.terraform.pages import blocks
from tests.terraform.tools import TERRAFORM

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
PAGE = (ROOT / "docs/cicd.md").read_text()

# Made by whoever follows docs/deployment.md and docs/cicd.md.
MADE = {"inventory/secrets.yml"}


def jobs(workflow: Path) -> dict[str, Any]:
    return yaml.safe_load(workflow.read_text())["jobs"]  # type: ignore[no-any-return]


def steps() -> list[dict[str, Any]]:
    return [
        step for workflow in WORKFLOWS for job in jobs(workflow).values() for step in job["steps"]
    ]


def scripts() -> list[tuple[Path, str]]:
    """Where each script runs, and what it says."""
    return [
        (ROOT / step.get("working-directory", "."), step["run"])
        for step in steps()
        if "run" in step
    ]


def defaults() -> dict[str, Any]:
    """The variables of all roles."""
    return {
        name: value
        for file in ROOT.glob("roles/*/defaults/main.yml")
        for name, value in yaml.safe_load(file.read_text()).items()
    }


def test_there_are_four() -> None:
    names = ["ci.yml", "deploy.yml", "refresh.yml", "release.yml"]
    assert [workflow.name for workflow in WORKFLOWS] == names


def test_each_path_leads_somewhere() -> None:
    named = {
        (folder / path).resolve().relative_to(ROOT)
        for folder, script in scripts()
        for path in re.findall(r"(?<![\w/$.-])@?((?:\.\./|\.\w+/|\w+/)[\w./-]*\w)", script)
        if not path.startswith((".cache/", ".venv", "../.venv", "dev/", "dist/"))
    }
    assert {Path(".ci/run"), Path("roles/container_image/files/image_context.py")} <= named
    assert [path for path in named if not (ROOT / path).exists() and str(path) not in MADE] == []


def test_each_playbook_and_folder_exists() -> None:
    played = [
        folder / name
        for folder, script in scripts()
        for name in re.findall(r"(?<= )([\w-]+\.yml)", script)
    ]
    assert played
    assert all(playbook.exists() for playbook in played), played
    assert all(folder.is_dir() for folder, _ in scripts())


def test_each_make_target_exists() -> None:
    targets = {target for _, script in scripts() for target in re.findall(r"make (\S+)", script)}
    makefile = (ROOT / "Makefile").read_text()
    assert targets == {".venv/.locked", "refresh", "sbom", "wheel"}
    assert "\nrefresh: " in makefile
    assert "\nsbom: " in makefile
    assert "\nwheel: " in makefile
    assert "VENV := .venv\n" in makefile
    assert "DESK := $(VENV)/.locked\n" in makefile


def test_each_sequence_of_test_stages_is_a_job() -> None:
    matrix = jobs(ROOT / ".github/workflows/ci.yml")["test"]["strategy"]["matrix"]
    sequences = [" ".join(stage.name for stage in sequence) for sequence in run.stages()]
    assert matrix["stages"] == sequences


def test_each_dockerfile_and_image_is_the_roles() -> None:
    built = jobs(ROOT / ".github/workflows/deploy.yml")["images"]["strategy"]["matrix"]["include"]
    pulled = yaml.safe_load((ROOT / ".github/images.yml").read_text())
    wanted = {
        name: str(value).rpartition("/")[2]
        for name, value in defaults().items()
        if str(value).startswith("shill/")
    }
    assert all((ROOT / image["dockerfile"]).exists() for image in built)
    assert {image["image"] for image in built} == set(wanted.values())
    for name, image in wanted.items():
        # One may be called like another.
        value = pulled.get(pulled[name].strip("{} "), pulled[name])
        assert value.endswith(f"}}}}/{image}"), name


def test_each_variable_of_ansible_exists() -> None:
    given = yaml.safe_load((ROOT / ".github/images.yml").read_text())
    assert given.keys() <= defaults().keys()
    environment = {name for step in steps() for name in step.get("env", {})}
    asked = set(re.findall(r"'ansible\.builtin\.env', '(\w+)'", str(given)))
    assert asked
    assert asked <= environment


def test_each_variable_of_terraform_exists() -> None:
    named = {
        name for workflow in WORKFLOWS for name in re.findall(r"TF_VAR_(\w+)", workflow.read_text())
    }
    assert named
    assert named <= dict(blocks(TERRAFORM / "variables.tf")).keys()
    bootstrap = dict(blocks(TERRAFORM / "bootstrap/variables.tf"))
    assert set(re.findall(r"-var (\w+)=", PAGE)) <= bootstrap.keys()


@pytest.mark.parametrize("kind", ["vars", "secrets"])
def test_the_page_names_each_variable_and_secret(kind: str) -> None:
    text = "".join(workflow.read_text() for workflow in WORKFLOWS)
    used = set(re.findall(rf"\b{kind}\.([A-Z_]+)", text))
    (table,) = re.findall(
        r"\| Variable \| \|\n(.+?)\n\n" if kind == "vars" else r"\| Secret .+? \| \|\n(.+?)\n\n",
        PAGE,
        re.DOTALL,
    )
    told = set(re.findall(r"`([A-Z_]+)`", "".join(re.findall(r"^\|.+?\|", table, re.MULTILINE))))
    assert used == told


def test_terraform_is_one_that_the_code_takes() -> None:
    (lowest,) = re.findall(r'">= ([\d.]+), < 2.0"', (TERRAFORM / "versions.tf").read_text())
    versions = {
        step["with"]["terraform_version"] for step in steps() if "terraform" in step.get("uses", "")
    }
    assert len(versions) == 1
    assert versions.pop() >= lowest


def test_each_action_is_pinned_to_a_commit_and_says_which_version_that_is() -> None:
    for workflow in WORKFLOWS:
        for used in re.findall(r"uses: (.+)", workflow.read_text()):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used


def test_only_jobs_that_need_aws_may_ask_for_a_token_and_only_two_may_write() -> None:
    for workflow in WORKFLOWS:
        assert yaml.safe_load(workflow.read_text())["permissions"] == {}
        for name, job in jobs(workflow).items():
            permissions = job["permissions"]
            writes = name in ("refresh", "release")
            assert permissions["contents"] == ("write" if writes else "read"), name
            assert ("id-token" in permissions) == (name in ("plan", "deploy")), name


def test_what_deploys_waits_for_the_environment() -> None:
    workflow = jobs(ROOT / ".github/workflows/deploy.yml")
    for name, job in workflow.items():
        assert ("AWS_DEPLOYER_ROLE" in str(job["steps"])) == (
            job.get("environment") == "production"
        ), name


def test_what_is_applied_is_the_plan_that_was_shown() -> None:
    workflow = jobs(ROOT / ".github/workflows/deploy.yml")
    planned, applied = (str(workflow[name]["steps"]) for name in ("plan", "deploy"))
    assert "terraform plan -lock=false -no-color -out=reviewed.tfplan" in planned
    assert "terraform apply reviewed.tfplan" in applied
    assert "auto-approve" not in applied
    assert "plan" in workflow["deploy"]["needs"]


def release(tmp_path: Path, tag: str) -> subprocess.CompletedProcess[str]:
    """Run the last step of the release with a `gh` that prints its arguments."""
    (script,) = (step["run"] for step in steps() if "gh release" in step.get("run", ""))
    (tmp_path / "CHANGELOG.md").write_bytes((ROOT / "CHANGELOG.md").read_bytes())
    (tmp_path / "dist").mkdir()
    for suffix in ("-py3-none-any.whl", ".tar.gz"):
        (tmp_path / f"dist/shill_bidding-{__version__}{suffix}").touch()
    (tmp_path / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "gh").chmod(0o755)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_REF_NAME": tag},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_release_has_the_wheel_and_the_notes_of_its_version(tmp_path: Path) -> None:
    done = release(tmp_path, f"v{__version__}")
    assert done.returncode == 0, done.stderr
    assert f"release\ncreate\nv{__version__}\n--verify-tag" in done.stdout
    assert "### Added" in done.stdout
    assert "Keep a" not in done.stdout
    assert f"dist/shill_bidding-{__version__}-py3-none-any.whl" in done.stdout


def test_a_tag_that_is_not_the_version_is_not_released(tmp_path: Path) -> None:
    done = release(tmp_path, "v9.9.9")
    assert done.returncode != 0
    assert "release" not in done.stdout
