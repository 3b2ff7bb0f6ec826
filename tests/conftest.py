"""What several levels of the tests share; what the machine lacks is named when skipping."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from flask_app.data.dataset import Dataset, read_csv
from tests.terraform.tools import Workspace, cli_environment, mirror

_ROOT = Path(__file__).parent.parent
_PROVIDER = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}
"""


# What passes once passes again, however slow the machine: `--hypothesis-profile=default` explores.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def uci_path() -> Path:
    """The real dataset: SHILL_DATASET, or the reference data beside the checkout."""
    named = os.environ.get("SHILL_DATASET")
    path = Path(named) if named else _ROOT.parent / "shared/data/shill_bidding_uci562.csv"
    if not path.is_file():
        pytest.skip(f"UCI 562 is not at {path}: set SHILL_DATASET to its path")
    return path


@pytest.fixture(scope="session")
def uci(uci_path: Path) -> Dataset:
    """The real dataset, read."""
    return read_csv(uci_path)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Terraform's environment, where there is a Terraform."""
    if not shutil.which("terraform"):
        pytest.skip("no terraform on PATH: install 1.11 or newer to run it")
    return cli_environment(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="session")
def provided(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The same, where the AWS provider is to be had too."""
    folder = tmp_path_factory.mktemp("provider")
    (folder / "main.tf").write_text(_PROVIDER)
    tried = Workspace(folder, environment).run("init", "-input=false", "-no-color", check=False)
    if tried.returncode and not mirror():
        pytest.skip("no hashicorp/aws provider: name a mirror in TF_PLUGIN_MIRROR, or go online")
    assert tried.returncode == 0, tried.stderr
    return environment
