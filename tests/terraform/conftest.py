"""What the tests of terraform/ share; what the machine lacks for them is named when skipping."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.moto_server import moto_server
from tests.terraform.chain import (
    COMMON,
    CREDENTIALS,
    LOGGED,
    REPOSITORY,
    SETTINGS,
    Chain,
    Environment,
    there_is,
)
from tests.terraform.tools import Workspace, cli_environment, copy, mirror

REQUIREMENTS = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}
"""


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
    (folder / "main.tf").write_text(REQUIREMENTS)
    tried = Workspace(folder, environment).run("init", "-input=false", "-no-color", check=False)
    if tried.returncode and not mirror():
        pytest.skip("no hashicorp/aws provider: name a mirror in TF_PLUGIN_MIRROR, or go online")
    assert tried.returncode == 0, tried.stderr
    return environment


@pytest.fixture(scope="session")
def workspace(
    provided: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Workspace]:
    """Makes workspaces: initialised copies of terraform/."""

    def make(name: str, *, folder: str = ".", **variables: str) -> Workspace:
        root = copy(tmp_path_factory.mktemp(name) / "terraform")
        made = Workspace(root / folder, provided | variables)
        made.init()
        return made

    return make


@pytest.fixture(scope="session")
def chain_begun(workspace: Callable[..., Workspace]) -> Iterator[Future[Chain]]:
    """Two environments and a bucket for states, being applied to a moto of their own.

    Most of that is waiting, so other tests run meanwhile.
    """

    def begin(url: str) -> Chain:
        variables = CREDENTIALS | LOGGED | {"AWS_ENDPOINT_URL": url, "TF_VAR_emulated": "true"}
        environments = {}
        for name, settings in SETTINGS.items():
            made = workspace(name, **variables)
            (made.folder / "terraform.tfvars.json").write_text(json.dumps(COMMON | settings))
            environments[name] = Environment(made)
        trusting = {"TF_VAR_github_repository": REPOSITORY}
        bootstrap = Environment(workspace("bootstrap", folder="bootstrap", **variables, **trusting))
        chain = Chain(url, environments, bootstrap, there_is(url))
        chain.together(Environment.apply)
        return chain

    with moto_server() as url, ThreadPoolExecutor(1) as pool:
        yield pool.submit(begin, url)


@pytest.fixture(scope="session")
def complete(chain: Chain) -> Any:
    """What production would be with what moto lacks: planned by the real provider, at least."""
    return chain.environments["production"].planned(
        instance_connect_endpoint=True, monthly_budget_usd=50, snapshots_kept=7
    )


@pytest.fixture(scope="session")
def chain(chain_begun: Future[Chain]) -> Chain:
    """The same, applied."""
    return chain_begun.result()
