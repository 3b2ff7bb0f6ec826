"""A service with a small model, in this process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flask_app.model.bundle import Bundle
from flask_app.profiles.snapshot import Snapshot
from flask_app.record import FEATURES
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.service import Service
from flask_app.settings import Settings
from flask_app.simulator.simulation import Simulation, hold_auctions
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle
from tests.profiles import make_profiles

OpenService = Callable[..., Service]

RECORD: dict[str, object] = {"auction_id": "732"} | dict.fromkeys(FEATURES, 0.5)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> DirectoryStore:
    """A store that has promoted one bundle and holds another; not to be changed."""
    parent = tmp_path_factory.mktemp("bundles")
    store = DirectoryStore(tmp_path_factory.mktemp("store"), Bundle)
    for seed in (0, 1):
        store.publish(make_bundle(parent, seed=seed))
    store.promote(store.versions()[0])
    return store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        authentication="off",
        log_dir=tmp_path / "predictions",
        max_body_bytes=100_000,
        max_batch_rows=100,
        reload_seconds=3600,
        request_timeout_seconds=0.2,
        release="blue",
    )


@pytest.fixture(scope="session")
def site() -> Simulation:
    """An auction site of which the profiles add up all auctions."""
    return hold_auctions(40, seed=7)


@pytest.fixture(scope="session")
def profiles(site: Simulation, tmp_path_factory: pytest.TempPathFactory) -> DirectoryStore:
    """A store with the snapshot in use; not to be changed."""
    store = DirectoryStore(tmp_path_factory.mktemp("profiles"), Snapshot)
    made = make_profiles(tmp_path_factory.mktemp("snapshot"), site.auctions, site.bids)
    store.promote(store.publish(made))
    return store


@pytest.fixture
def open_service(
    settings: Settings, published: DirectoryStore, profiles: DirectoryStore
) -> Iterator[OpenService]:
    """Starts services, with other settings or stores where told so, and stops them."""
    with ExitStack() as opened:

        def run(
            settings: Settings = settings,
            models: DirectoryStore = published,
            profiles: DirectoryStore = profiles,
        ) -> Service:
            service = Service(settings, models, profiles, ServiceMetrics())
            service.start()
            opened.callback(service.stop)
            return service

        yield run


@pytest.fixture
def service(open_service: OpenService) -> Service:
    return open_service()
