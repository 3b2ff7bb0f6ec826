"""What the tests of terraform/ share."""

import json
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
from tests.terraform.tools import Workspace, copy


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
