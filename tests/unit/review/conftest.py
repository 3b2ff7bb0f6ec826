"""A desk over a small site whose auctions were scored by a small model."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from flask_app.cli import main
from flask_app.model.bundle import Bundle
from flask_app.review.desk import Desk
from flask_app.review.web import create_review_app
from flask_app.settings import Settings
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle

AUCTIONS = 30

OpenDesk = Callable[[Settings], Desk]


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site's tables, an archive with their scores and the store of the model that gave them."""
    place = tmp_path_factory.mktemp("scored")
    store = DirectoryStore(place / "models", Bundle)
    store.promote(store.publish(make_bundle(place)))
    assert main(["simulate", "--auctions", str(AUCTIONS), "--bids", str(place / "site")]) == 0
    tables = [f"--{name}={place / 'site' / name}.csv" for name in ("auctions", "bids")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHILL_MODEL_STORE", str(store.path))
        output = f"--output={place / 'archive/predictions'}"
        assert main(["score", *tables, output, "--no-reasons"]) == 0
    return place


@pytest.fixture
def settings(scored: Path, tmp_path: Path) -> Settings:
    return Settings(
        model_store=str(scored / "models"),
        archive=str(scored / "archive"),
        log_dir=tmp_path / "log",
        review_auctions=str(scored / "site/auctions.csv"),
        review_bids=str(scored / "site/bids.csv"),
        review_sample=0.25,
        review_refresh_seconds=3600,
    )


@pytest.fixture
def open_desk() -> Iterator[OpenDesk]:
    """Opens desks that are read once, and closes them."""
    with ExitStack() as opened:

        def run(settings: Settings) -> Desk:
            desk = Desk(settings)
            opened.callback(desk.stop)
            desk.refresh()
            return desk

        yield run


@pytest.fixture
def desk(settings: Settings, open_desk: OpenDesk) -> Desk:
    return open_desk(settings)


@pytest.fixture
def client(desk: Desk) -> FlaskClient:
    return create_review_app(desk).test_client()
