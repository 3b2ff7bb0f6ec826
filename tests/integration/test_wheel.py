"""What is installed from the wheel works without the checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flask_app import __version__
from flask_app.cli import main
from flask_app.client import Client
from tests.integration.conftest import Bundles
from tests.integration.server import Server

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def shill(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `shill` of a fresh environment with the wheel, extras `serve` and `score`."""
    directory = tmp_path_factory.mktemp("wheel")
    environment = directory / "venv"
    (constraints := directory / "constraints.txt").write_text(
        "".join(
            f"{line.split()[0]}\n"
            for line in (ROOT / "requirements.txt").read_text().splitlines()
            if line[:1].isalnum()
        )
    )
    for command in (
        [UV, "build", "--wheel", "--no-build-isolation", "--out-dir", directory, ROOT],
        [UV, "venv", "--python", sys.executable, environment],
    ):
        subprocess.run(
            [*command, "--quiet"],
            check=True,
            env=os.environ | {"VIRTUAL_ENV": str(Path(sys.executable).parents[1])},
        )
    (wheel,) = directory.glob("*.whl")
    install = [UV, "pip", "install", "--quiet", "--python", environment, "--constraint"]
    subprocess.run([*install, constraints, f"{wheel}[serve,score]"], check=True)
    return environment / "bin/shill"


def test_the_wheel_s_command_serves_and_knows_its_version(
    shill: Path, tmp_path: Path, bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # away from the checkout, which Python would import
    version = subprocess.run([shill, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"shill {__version__}\n"
    subprocess.run([shill, "keys", "list"], check=True)
    server = Server(tmp_path)
    server.command = (str(shill), "serve")  # type: ignore[assignment]
    server.environment.pop("PYTHONPATH", None)
    server.store.promote(server.store.publish(bundles[0]))
    server.start()
    try:
        with Client(server.url) as client:
            assert client.ready().model_version == server.store.versions()[0]
    finally:
        assert server.stop() == 0


def test_the_wheel_s_command_scores_tables(
    shill: Path, tmp_path: Path, bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--auctions", "5", "--bids", "site"]) == 0
    tables = ["--auctions=site/auctions.csv", "--bids=site/bids.csv", "--output=scored"]
    done = subprocess.run(
        [shill, "score", f"--model={bundles[0]}", *tables],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(Path("scored").glob("dt=*/scored.parquet"))


def test_the_wheel_is_typed_and_holds_neither_tests_nor_roles(shill: Path) -> None:
    site = next(shill.parents[1].glob("lib/*/site-packages"))
    assert (site / "flask_app/py.typed").exists()
    assert not any((site / name).exists() for name in ("tests", "roles", "molecule"))
