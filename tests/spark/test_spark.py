"""`score --engine spark` gives what DuckDB gives, whatever the form of the tables."""

import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from flask_app.cli import main
from flask_app.model.bundle import Bundle
from flask_app.record import FEATURES
from flask_app.simulator.simulation import as_csv, hold_auctions
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-spark/bin/python"
AUCTIONS = 40
KEYS = ["auction_id", "bidder_id"]


class Run(NamedTuple):
    """What a run of `score` said, and where its output is."""

    status: int
    printed: str
    errors: str
    output: Path

    def scored(self) -> pd.DataFrame:
        files = sorted(self.output.glob("dt=*/scored.parquet"))
        return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)


class Site(NamedTuple):
    """The same site in several forms, and what each engine makes of it."""

    duckdb: Run
    plain: Run
    repeated: Run
    other_form: Run
    faulty: Run
    blocked: Run


def faulty(bids: pd.DataFrame) -> pd.DataFrame:
    """Give the first bids a fault each."""
    wrong = bids.head(6).astype(str)
    for row, (name, value) in enumerate(
        [
            ("amount", "-1"),
            ("amount", "1d"),
            ("placed_at", "2026-01-05 10:00:00"),
            ("placed_at", "2019-01-05T10:00:00Z"),
            ("auction_id", "none"),
            ("bidder_id", "x" * 200),
        ]
    ):
        wrong.loc[wrong.index[row], name] = value
    return wrong


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    directory = tmp_path_factory.mktemp("spark")
    _, held, bids = hold_auctions(AUCTIONS)
    random = np.random.default_rng(0)
    # Bids of one moment and of one amount, and sellers on their own auctions.
    before = bids.groupby("auction_id")[["placed_at", "amount"]].shift(1)
    for name, rows in (("placed_at", slice(1, None, 7)), ("amount", slice(2, None, 9))):
        chosen = bids.index[rows]
        bids.loc[chosen, name] = (
            before.loc[chosen, name].fillna(bids[name]).astype(bids[name].dtype)
        )
    bids["placed_at"] = bids["placed_at"] // 10**6 * 10**6  # as CSV has it
    bids.loc[bids.index[::50], "bidder_id"] = "s1"
    held["item_category"] = random.choice(["coins", "stamps", ""], len(held))
    for name, content in as_csv(held, bids).items():
        (directory / name).write_bytes(content)
    text = [pd.read_csv(directory / f"{name}.csv", dtype=str) for name in ("auctions", "bids")]

    # Another form: shuffled, partly repeated, in several files of two formats.
    shuffled = pd.concat([bids, bids.head(100)]).sample(frac=1, random_state=0)
    shuffled["placed_at"] = pd.to_datetime(shuffled["placed_at"], unit="us", utc=True)
    for number, part in enumerate(np.array_split(np.arange(len(shuffled)), 3)):
        path = directory / f"forms/bids/part={number}/bids.parquet"
        path.parent.mkdir(parents=True)
        shuffled.iloc[part].to_parquet(path)
    (directory / "forms/auctions").mkdir()
    text[0].sample(frac=1, random_state=0).to_json(
        directory / "forms/auctions/auctions.jsonl.gz", orient="records", lines=True
    )
    (directory / "wrong").mkdir()
    faulty(text[1]).to_csv(directory / "wrong/bids.csv", index=False)

    store = DirectoryStore(directory / "models", Bundle)
    store.promote(store.publish(make_bundle(directory)))

    def arguments(auctions: str, bids: str, output: str) -> list[str]:
        paths = {"auctions": auctions, "bids": bids, "output": output}
        return [f"--{name}={directory / path}" for name, path in paths.items()]

    plain = arguments("auctions.csv", "bids.csv", "plain")
    runs = [
        plain,
        plain,
        arguments("forms/auctions", "forms/bids", "forms/scored"),
        arguments("auctions.csv", "wrong/bids.csv", "wrong/scored"),
        arguments("auctions.csv", "bids.csv", "blocked"),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHILL_MODEL_STORE", str(store.path))
        status = main(["score", *arguments("auctions.csv", "bids.csv", "duckdb")])
        # A file where a day's directory is to be.
        (directory / "blocked").mkdir()
        (directory / "blocked" / min((directory / "duckdb").glob("dt=*")).name).touch()
        done = subprocess.run(
            [PYTHON, Path(__file__).with_name("runs.py"), *map(json.dumps, runs)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    outputs = ("plain", "plain", "forms/scored", "wrong/scored", "blocked")
    return Site(
        Run(status, "", "", directory / "duckdb"),
        *(Run(*result, directory / of) for result, of in zip(results, outputs, strict=True)),
    )


@pytest.mark.parametrize("form", ["plain", "other_form"])
def test_the_records_are_those_of_duckdb(site: Site, form: str) -> None:
    expected, found = site.duckdb.scored(), getattr(site, form).scored()

    pd.testing.assert_frame_equal(found[KEYS], expected[KEYS])
    numbers = [*FEATURES, "probability"]
    np.testing.assert_allclose(found[numbers], expected[numbers], rtol=0, atol=1e-9)
    for name in ("prediction", "band", "threshold", "model_version"):
        assert found[name].tolist() == expected[name].tolist()


def test_flagged_records_have_reasons(site: Site) -> None:
    found = site.plain.scored()
    explained = found["reasons"].notna()
    assert (explained == (found["band"] != "clear")).all()
    assert explained.any()


def test_it_says_what_was_read(site: Site) -> None:
    assert site.plain.status == 0
    assert f"{AUCTIONS} auctions (0 without bids" in site.plain.printed
    assert "bids are of sellers on their own auctions" in site.plain.printed
    assert "(0 rows repeated)" in site.plain.printed
    assert "(0 rows repeated)" not in site.other_form.printed


def test_a_day_is_scored_once(site: Site) -> None:
    days = len(list(site.plain.output.glob("dt=*")))
    assert site.repeated.status == 0
    assert "0 days scored into" in site.repeated.printed
    assert f"{days} days were scored before" in site.repeated.printed


def test_a_fault_is_told_with_file_key_column_value_and_remedy(site: Site) -> None:
    assert site.faulty.status == 1
    for complaint in (
        "amount: '-1' is no number above 0",
        "amount: '1d' is no number above 0",
        "placed_at: '2026-01-05 10:00:00' is no time with its zone: write it as",
        f"bidder_id: '{'x' * 60}'... does not have 1 to 128 characters",
    ):
        assert complaint in site.faulty.errors
    assert "wrong/bids.csv, bid_id '" in site.faulty.errors
    assert not list(site.faulty.output.glob("dt=*"))


def test_what_failed_in_a_task_is_told_with_the_remedy(site: Site) -> None:
    assert site.blocked.status == 1
    (complaint,) = site.blocked.errors.strip().splitlines()[-1:]
    assert complaint.startswith("error: a task of Spark failed (")
    assert "/scored.parquet cannot be written" in complaint
    assert "run score again" in complaint
