"""`score`: from an auction site's tables to Parquet by day."""

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flask_app.archive.segments import PREDICTIONS
from flask_app.cli import main
from flask_app.errors import BundleError
from flask_app.files import locked
from flask_app.model.bundle import Bundle
from flask_app.model.predictor import Predictor
from flask_app.record import FEATURES
from flask_app.scoring import job
from flask_app.scoring.job import Outcome
from flask_app.scoring.output import FILE
from flask_app.simulator.simulation import simulate
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle
from tests.s3 import BUCKET, S3

AUCTIONS = 15
Score = Callable[..., int]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("simulated") / "site"
    assert main(["simulate", "--auctions", str(AUCTIONS), "--bids", str(directory)]) == 0
    return directory


@pytest.fixture
def site(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "site"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def score(site: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Score:
    store = DirectoryStore(tmp_path / "models", Bundle)
    store.promote(store.publish(bundle))
    monkeypatch.setenv("SHILL_MODEL_STORE", str(store.path))
    tables = ["--auctions", str(site / "auctions.csv"), "--bids", str(site / "bids.csv")]

    def run(*options: str) -> int:
        return main(["score", *tables, "--output", str(tmp_path / "scored"), *options])

    return run


def _scored(directory: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(directory.glob("dt=*/*.parquet"))])


def _files(directory: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in directory.glob("dt=*/*")}


def test_every_record_is_scored_once_by_the_model_in_production(
    score: Score, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score() == 0

    expected = simulate(AUCTIONS).frame
    found = expected[["auction_id", "bidder_id"]].merge(_scored(tmp_path / "scored"))
    assert len(found) == len(expected)
    pd.testing.assert_frame_equal(found[[*FEATURES]], expected[[*FEATURES]], rtol=1e-9)
    predictor = Predictor.load(bundle)
    probabilities = predictor.predict(expected[[*FEATURES]].to_numpy(np.float32))
    assert np.abs(found["probability"] - probabilities).max() < 1e-6
    assert (found["prediction"] == (found["probability"] >= predictor.threshold)).all()
    assert found["prediction_id"].is_unique
    said = capsys.readouterr().out
    assert f"{AUCTIONS} auctions (0 without bids, 0 to score when their day is over)" in said
    assert f"{len(expected)} records" in said


def test_the_files_are_the_archives_predictions_by_the_day_their_auction_closed(
    score: Score, site: Path, tmp_path: Path
) -> None:
    score()

    closing = pd.read_csv(site / "auctions.csv", dtype=str).set_index("auction_id")["closes_at"]
    for path in (tmp_path / "scored").glob("dt=*/*.parquet"):
        frame = pd.read_parquet(path, partitioning=None)
        assert list(frame.columns) == [*PREDICTIONS.schema.names, "band", "reasons"]
        assert {closing[auction][:10] for auction in frame["auction_id"]} == {path.parent.name[3:]}


def test_what_is_to_review_or_to_block_says_why(score: Score, bundle: Path, tmp_path: Path) -> None:
    score()

    found = _scored(tmp_path / "scored")
    predictor = Predictor.load(bundle)
    bands = predictor.manifest.bands
    assert set(found["band"]) == {"clear", "review", "block"}
    assert (found["band"] == "block").equals(found["probability"] >= bands.block.threshold)
    assert (found["band"] == "clear").equals(found["probability"] < bands.review.threshold)
    assert (found["reasons"].isna()).equals(found["band"] == "clear")
    typical = np.array([list(predictor.manifest.typical.values())], dtype=np.float32)
    flagged = found[found["band"] != "clear"]
    added = flagged["reasons"].map(
        lambda reasons: sum(reason["contribution"] for reason in reasons)
    )
    assert np.abs(added - (flagged["probability"] - predictor.predict(typical)[0])).max() < 1e-6


def test_reasons_may_be_left_out(score: Score, tmp_path: Path) -> None:
    score("--no-reasons")

    assert _scored(tmp_path / "scored")["reasons"].isna().all()


def test_a_second_run_changes_nothing(
    score: Score, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score()
    before = _files(tmp_path / "scored")

    assert score() == 0
    assert _files(tmp_path / "scored") == before
    assert f"0 to block; {len(before)} days were scored before" in capsys.readouterr().out


def test_a_run_that_was_killed_goes_on_with_the_days_that_are_missing(
    score: Score, tmp_path: Path
) -> None:
    score()
    before = _files(tmp_path / "scored")
    missing = sorted(before)[3:5]
    for day in missing:
        shutil.rmtree(tmp_path / "scored" / day)
    (tmp_path / "scored" / ".draft-scratch-killed").mkdir()
    (tmp_path / "scored" / min(before) / f".draft-{FILE}-1").touch()

    assert score() == 0
    after = _files(tmp_path / "scored")
    assert after.keys() == before.keys()
    assert [day for day in sorted(after) if after[day] != before[day]] == missing
    assert not list((tmp_path / "scored").rglob(".draft-*"))


def test_bids_that_come_after_their_day_was_scored_are_told_and_scored_when_asked_for(
    score: Score, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score()
    auction = pd.read_csv(site / "auctions.csv", dtype=str).iloc[0]
    day = auction["closes_at"][:10]
    with (site / "bids.csv").open("a") as bids:
        bids.write(f"late,{auction['auction_id']},newcomer,999,{auction['closes_at']}\n")

    assert score() == 3
    assert f"{day}: +1 bids since it was scored: --again {day}" in capsys.readouterr().err
    assert "newcomer" not in set(_scored(tmp_path / "scored")["bidder_id"])

    assert score("--again", day) == 0
    found = _scored(tmp_path / "scored")
    assert (found["bidder_id"] == "newcomer").sum() == 1
    assert not found.duplicated(["auction_id", "bidder_id"]).any()


def test_an_auction_is_scored_once_its_day_is_over(
    site: Path, bundle: Path, tmp_path: Path
) -> None:
    first = min(pd.read_csv(site / "auctions.csv")["closes_at"])

    def run(now: str) -> Outcome:
        bids = pd.read_csv(site / "bids.csv")
        bids[bids["placed_at"] <= now].to_csv(site / "so-far.csv", index=False)
        auctions = pd.read_csv(site / "auctions.csv")
        auctions[auctions["opened_at"] <= now].to_csv(site / "open.csv", index=False)
        return job.run(
            Predictor.load(bundle),
            str(site / "open.csv"),
            str(site / "so-far.csv"),
            str(tmp_path / "scored"),
            now=datetime.fromisoformat(now).astimezone(UTC),
        )

    assert run(f"{first[:10]}T23:59:59Z").days == []
    day = date.fromisoformat(first[:10])
    later = run(f"{day.isoformat()[:8]}{day.day + 1:02}T00:00:00Z")
    assert later.days == [day]
    assert later.open_auctions > 0


def test_wrong_tables_leave_the_output_as_it_was(
    score: Score, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (site / "bids.csv").open("a") as bids:
        bids.write("x,1,b1,-5,2026-01-01T10:00:00Z\n")

    assert score() == 1
    assert "amount: '-5.0' is no number above 0" in capsys.readouterr().err
    assert not list((tmp_path / "scored").glob("dt=*"))


def test_a_model_that_gives_no_probability_is_refused(
    site: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor.load(bundle)
    monkeypatch.setattr(Predictor, "predict", lambda _, rows: np.full(len(rows), np.nan))

    with pytest.raises(BundleError, match="gave a score that is no probability"):
        job.run(
            predictor, str(site / "auctions.csv"), str(site / "bids.csv"), str(tmp_path / "scored")
        )
    assert not list((tmp_path / "scored").glob("dt=*/*"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--again", "2020-01-01"], "2020-01-01: no auction closed on that day"),
        (["--memory-limit", "much"], "memory limit much: "),
        (
            ["--memory-limit", "1MB"],
            "give more than --memory-limit 1MB, or free space on that disk",
        ),
    ],
)
def test_wrong_options_are_told(
    score: Score, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(*options) == 1
    assert told in capsys.readouterr().err


def test_one_run_at_a_time_writes_to_an_output(
    score: Score, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(tmp_path / "scored"):
        assert score() == 5
    assert "another run holds" in capsys.readouterr().err


def test_tables_may_come_from_s3_and_days_go_there_once(
    score: Score, site: Path, s3: S3, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("auctions", "bids"):
        s3.write(f"site/{name}/{name}.csv", (site / f"{name}.csv").read_bytes())
    tables = [f"--auctions=s3://{BUCKET}/site/auctions", f"--bids=s3://{BUCKET}/site/bids"]
    output = f"--output=s3://{BUCKET}/archive/predictions"

    assert score(*tables, output) == 0
    before = s3.objects("archive/")
    assert score(*tables, output) == 0
    assert s3.objects("archive/") == before
    assert len(before) == int(capsys.readouterr().out.split(" days scored into")[0].split()[-1])

    day = min(before).split("=")[1][:10]
    with (site / "bids.csv").open("a") as bids:
        auction = pd.read_csv(site / "auctions.csv", dtype=str)
        auction = auction[auction["closes_at"].str.startswith(day)].iloc[0]
        bids.write(f"late,{auction['auction_id']},newcomer,999,{auction['closes_at']}\n")
    late = f"--bids={site / 'bids.csv'}"
    assert score(tables[0], late, output) == 3
    assert f"{day}: +1 bids since it was scored" in capsys.readouterr().err
    assert score(tables[0], late, output, "--again", day) == 0
    changed = {name for name, seen in s3.objects("archive/").items() if before[name] != seen}
    assert changed == {f"archive/predictions/dt={day}/scored.parquet"}


def test_the_archive_s_sql_finds_what_was_scored_into_it(
    score: Score,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert score("--output", str(tmp_path / "archive" / "predictions")) == 0
    capsys.readouterr()
    monkeypatch.setenv("SHILL_ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.setenv("SHILL_LOG_DIR", str(tmp_path / "log"))

    assert main(["query", "--csv", "SELECT count(*), count(DISTINCT dt) FROM predictions"]) == 0

    records, days = map(int, capsys.readouterr().out.splitlines()[1].split(","))
    assert records == len(simulate(AUCTIONS).frame)
    assert days == len(list((tmp_path / "archive" / "predictions").glob("dt=*")))
