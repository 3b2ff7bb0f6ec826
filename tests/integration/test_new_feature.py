"""A new feature: one more line in `flask_app/record.py`, and a model trained with it."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flask_app
from flask_app.record import FEATURES, SCHEMA_ID
from flask_app.simulator.simulation import simulate
from tests.integration.server import Server
from tests.traffic import prediction, write

LINE = """\
    account_age: Annotated[Days, Meta(description="Age of the account, days.", examples=[9.0])]
"""
OLD_ROWS, NEW_ROWS = 300, 600


class Site:
    """A host whose release has the feature; its log has a segment of the release before."""

    def __init__(self, directory: Path) -> None:
        release = directory / "release"
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(flask_app.__file__).parent, release / "flask_app", ignore=ignored)
        module = release / "flask_app" / "record.py"
        before, after = module.read_text().split("    auction_duration: Annotated", 1)
        module.write_text(f"{before}{LINE}    auction_duration: Annotated{after}")

        self.dataset = directory / "dataset.csv"
        frame = simulate(auctions=100, seed=0).frame
        frame["account_age"] = np.random.default_rng(0).uniform(1, 300, len(frame)).round(1)
        frame.rename(columns={"is_shill": "class"}).to_csv(self.dataset, index=False)
        self.records = frame.drop(columns=["is_shill"]).to_dict("records")

        self.server = Server(directory, cwd=release)
        self.server.environment |= {
            "SHILL_CANDIDATES": "logistic_regression",
            "SHILL_DATASET": str(self.dataset),
            "SHILL_DRIFT_REPORTS_DIR": str(directory / "reports"),
            "SHILL_DRIFT_TEXTFILE_DIR": str(directory / "textfile"),
        }
        self.reports_dir = directory / "reports"

    def shill(self, *arguments: str, status: int = 0) -> str:
        """Run a command of the release; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "flask_app", *arguments],
            cwd=self.server.cwd,
            env=self.server.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def query(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.shill("query", "--json", sql))
        return rows


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    site.shill("train", "--promote")
    at = time.time() - 60
    write(site.server.log_dir, [prediction(at, number) for number in range(OLD_ROWS)], at=at)
    site.server.start()
    yield site
    site.server.stop()


def test_it_is_trained_scored_logged_and_watched_for_drift(site: Site) -> None:
    without = {name: value for name, value in site.records[0].items() if name != "account_age"}
    refusal = site.server.post("/predict", without)
    assert refusal.status == 422
    assert "/account_age: missing" in refusal.json["detail"]
    answer = site.server.post("/predict_batch", site.records[:NEW_ROWS])
    assert answer.status == 200, answer.json

    (version,) = site.server.store.versions()
    manifest = json.loads((site.server.store.path / version / "manifest.json").read_bytes())
    schema = manifest["record_schema"]
    assert schema != SCHEMA_ID
    assert [feature["name"] for feature in manifest["features"]] == [
        *FEATURES[:-1],
        "account_age",
        FEATURES[-1],
    ]
    segments = {path.name.split(".")[1] for path in site.server.log_dir.glob("dt=*/*.jsonl")}
    assert segments == {SCHEMA_ID, schema}

    site.shill("drift")
    (summary,) = (json.loads(path.read_bytes()) for path in site.reports_dir.glob("*/summary.json"))
    assert summary["record_schema"] == schema
    assert summary["rows"] == NEW_ROWS
    assert "account_age" in summary["drift"]["distances"]
    assert summary["findings"]["torn_lines"] == 0


def test_what_the_release_before_has_logged_stays_readable(site: Site) -> None:
    """Here and, since `convert` makes the archive's files, there."""
    count = "SELECT count(*) AS all, count(account_age) AS with_it, avg(bidding_ratio) AS ratio"
    (found,) = site.query(f"{count} FROM predictions WHERE model_version LIKE 'tests-%'")
    assert found == {"all": OLD_ROWS, "with_it": 0, "ratio": 0.5}
