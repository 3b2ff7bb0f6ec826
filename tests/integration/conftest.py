"""Running services for the tests that need one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from flask_app.simulator.simulation import hold_auctions
from tests.bundles import make_bundle
from tests.integration.server import Server, running
from tests.profiles import make_profiles

Bundles = tuple[Path, Path]
Serve = Callable[..., Server]


Figure = Callable[[str, object], None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that tests have recorded: they are the proof, not only the verdict."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Two bundles, of different versions."""
    parent = tmp_path_factory.mktemp("bundles")
    return make_bundle(parent, seed=0), make_bundle(parent, seed=1)


@pytest.fixture(scope="session")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Profiles from simulated auctions."""
    site = hold_auctions(20)
    return make_profiles(tmp_path_factory.mktemp("snapshot"), site.auctions, site.bids)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, bundles: Bundles, snapshot: Path
) -> Iterator[Server]:
    """A service with two workers and profiles that the tests of a module share."""
    with running(tmp_path_factory.mktemp("server"), bundles, snapshot) as server:
        yield server


@pytest.fixture
def serve(tmp_path: Path, bundles: Bundles) -> Iterator[Serve]:
    """Starts a service of the test's own, with the settings it asks for."""
    with ExitStack() as running_services:

        def start(**settings: Any) -> Server:
            return running_services.enter_context(running(tmp_path, bundles, **settings))

        yield start
