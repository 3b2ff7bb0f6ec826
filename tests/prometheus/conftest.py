"""The programs that check rules and configurations, and configurations as the role renders them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".cache/prometheus"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session", params=["installed", "forky"])
def tool(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """The path of a program of this Debian, then of the next one: see tests/run.py."""

    def find(name: str) -> str:
        path = TOOLS / request.param / "usr/bin" / name
        if not path.exists():
            pytest.skip(f"{path} is missing: python tests/run.py prometheus")
        return str(path)

    return find


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that renders a configuration as the role does."""

    def run(name: str = "alertmanager.yml", **options: object) -> Path:
        path = tmp_path_factory.mktemp("rendered") / name
        role = ROOT / "roles/prometheus"
        options["ansible_python_interpreter"] = sys.executable
        subprocess.run(
            [
                *[
                    Path(sys.executable).with_name("ansible"),
                    "localhost",
                    "--inventory=localhost,",
                    "--connection=local",
                ],
                *["--module-name=ansible.builtin.template"],
                f"--args=src={role}/templates/{name}.j2 dest={path}",
                *[f"--extra-vars=@{role}/{file}/main.yml" for file in ("defaults", "vars")],
                f"--extra-vars={json.dumps(options)}",
            ],
            check=True,
            capture_output=True,
            env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg")},
        )
        return path

    return run
