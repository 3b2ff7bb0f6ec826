"""Terraform, and what a test asks of it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "terraform"
SHARES = ("/opt", "/usr/share", "/usr/local/share", "~/.terraform.d")
PROVIDER = "registry.terraform.io/hashicorp/aws"


def mirror() -> Path | None:
    """A folder that holds the provider, so that nothing need be downloaded."""
    named = os.environ.get("TF_PLUGIN_MIRROR")
    if named:
        return Path(named)
    for share in SHARES:
        for found in Path(share).expanduser().glob(f"*/{PROVIDER}"):
            return found.parents[2]
    return None


def cli_environment(folder: Path) -> dict[str, str]:
    """An environment in which Terraform asks nobody but a mirror, where there is one."""
    configuration = folder / "terraformrc"
    where = mirror()
    source = f'filesystem_mirror {{ path = "{where}" }}' if where else "direct {}"
    configuration.write_text(
        f"disable_checkpoint = true\nprovider_installation {{\n  {source}\n}}\n"
    )
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))
    }
    return kept | {"TF_CLI_CONFIG_FILE": str(configuration), "TF_IN_AUTOMATION": "1"}


def copy(folder: Path) -> Path:
    """A copy of terraform/, so that no run leaves anything in the checkout."""
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars", "backend.tf")
    return Path(shutil.copytree(TERRAFORM, folder, ignore=ignored))


@dataclass(frozen=True)
class Workspace:
    """A folder in which Terraform runs."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command of Terraform's; its output is the error's text if it fails."""
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if check else subprocess.PIPE,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def init(self, *arguments: str) -> None:
        self.run("init", "-input=false", "-no-color", *arguments)

    def show(self, plan: str) -> Any:
        """A saved plan, which holds the state before it too."""
        return json.loads(self.run("show", "-json", plan).stdout)


def resources(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All resources of a state's module and the modules within."""
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from resources(child)
