"""What there is to decide, in its order and with what was said of it."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from flask_app.log.lines import LoggedPrediction
from flask_app.model.bands import NAMES
from flask_app.review.desk import Desk
from flask_app.review.index import PAGE_ROWS, STATES, Filter
from flask_app.settings import Settings
from tests.traffic import NOW, label, prediction, write, write_labels
from tests.unit.review.conftest import OpenDesk

ALL = Filter(bands=NAMES, states=STATES)


def _scores(scored: Path) -> pd.DataFrame:
    return pd.concat(
        [pd.read_parquet(path) for path in scored.glob("archive/predictions/dt=*/*.parquet")]
    )


def test_the_most_suspicious_come_first_page_by_page(desk: Desk, scored: Path) -> None:
    scores = _scores(scored)
    count = desk.index.count(ALL, "bidders")
    assert count == len(scores) > 2 * PAGE_ROWS
    items = []
    for page in range(1, -(-count // PAGE_ROWS) + 1):
        items += desk.index.bidders(Filter(bands=NAMES, states=STATES, page=page))
    assert len({(item.auction_id, item.bidder_id) for item in items}) == count
    probabilities = [item.probability for item in items]
    assert probabilities == sorted(scores["probability"], reverse=True)


def test_bands_are_those_that_score_gave(desk: Desk, scored: Path) -> None:
    scores = _scores(scored)
    for band in NAMES:
        wanted = Filter(bands=(band,), states=STATES)
        assert desk.index.count(wanted, "bidders") == (scores["band"] == band).sum()
    strata = desk.index.strata()
    assert {band: size for band, (size, _, _) in strata.items()} == {
        band: (scores["band"] == band).sum() for band in NAMES
    }


def test_auctions_are_listed_by_their_most_suspicious_bidder(desk: Desk, scored: Path) -> None:
    scores = _scores(scored)
    listed = desk.index.auctions(ALL)
    highest = scores.groupby("auction_id")["probability"].max()
    assert [one.probability for one in listed] == sorted(highest, reverse=True)
    first = listed[0]
    of_first = scores[scores["auction_id"] == first.auction_id]
    assert first.bidders == first.still_open == len(of_first)
    assert first.flagged == (of_first["band"] != "clear").sum()


def test_a_text_finds_auctions_and_bidders_that_begin_so(desk: Desk) -> None:
    some = desk.index.bidders(ALL)[3]
    for text in (some.auction_id, some.bidder_id):
        found = desk.index.bidders(Filter(bands=NAMES, states=STATES, text=text))
        assert some in found
        assert all(
            one.auction_id.startswith(text) or one.bidder_id.startswith(text) for one in found
        )
    assert desk.index.count(Filter(text="' OR 1=1 --"), "bidders") == 0


def test_the_sample_is_its_share_of_what_no_band_flags(desk: Desk) -> None:
    drawn = desk.index.count(Filter(drawn=True), "bidders")
    clear = desk.index.strata()["clear"][0]
    assert 0.1 * clear < drawn < 0.4 * clear
    assert all(
        item.band == "clear" and item.is_drawn for item in desk.index.bidders(Filter(drawn=True))
    )


@pytest.fixture
def log(settings: Settings) -> list[LoggedPrediction]:
    """Two predictions of one bidder in an auction, and one of another, in this host's log."""
    lines = [
        prediction(NOW, 1, auction_id="live", bidder_id="b", probability=0.2),
        prediction(NOW + 60, 2, auction_id="live", bidder_id="b", probability=0.9),
        prediction(NOW, 3, auction_id="live", bidder_id="c", probability=0.1),
    ]
    write(settings.log_dir, lines)
    return lines


def test_a_bidder_is_shown_by_his_latest_prediction(
    settings: Settings, log: list[LoggedPrediction], open_desk: OpenDesk
) -> None:
    desk = open_desk(settings)
    items = desk.index.auction("live")
    assert [(item.bidder_id, item.probability) for item in items] == [("b", 0.9), ("c", 0.1)]
    assert items[0].prediction_id == log[1].prediction_id


def test_a_label_of_any_of_his_predictions_is_his_and_the_last_holds(
    settings: Settings, log: list[LoggedPrediction], open_desk: OpenDesk
) -> None:
    write_labels(settings.log_dir, [label(log[0].prediction_id, True, NOW + 90)])
    desk = open_desk(settings)
    assert [item.state for item in desk.index.auction("live")] == ["shill", "open"]
    write_labels(settings.log_dir, [label(log[1].prediction_id, None, NOW + 120)])
    desk.refresh()
    assert [item.state for item in desk.index.auction("live")] == ["open", "open"]


def test_no_more_rows_are_held_than_allowed_and_they_are_the_latest(
    settings: Settings, log: list[LoggedPrediction], open_desk: OpenDesk
) -> None:
    desk = open_desk(Settings(**vars(settings) | {"review_rows": 1, "archive": ""}))
    latest = max(line.prediction_id for line in log)
    assert [item.prediction_id for item in desk.index.bidders(ALL)] == [latest]


def test_a_damaged_file_of_the_archive_is_named_and_nothing_dies(
    settings: Settings, scored: Path, tmp_path: Path, open_desk: OpenDesk
) -> None:
    archive = tmp_path / "archive"
    shutil.copytree(scored / "archive", archive)
    desk = open_desk(Settings(**vars(settings) | {"archive": str(archive)}))
    before = desk.index.count(ALL, "bidders")
    damaged = next(archive.glob("predictions/dt=*/*.parquet"))
    damaged.write_bytes(b"x" * 400)
    desk.refresh()
    assert str(damaged) in desk.obstacle
    assert "put what is damaged aside" in desk.obstacle
    assert desk.index.count(ALL, "bidders") == before


def test_what_cannot_be_read_is_told_and_what_was_there_stays(
    settings: Settings, tmp_path: Path, open_desk: OpenDesk, caplog: pytest.LogCaptureFixture
) -> None:
    models = tmp_path / "models"
    shutil.copytree(settings.model_store, models)
    desk = open_desk(Settings(**vars(settings) | {"model_store": str(models)}))
    before = desk.index.count(ALL, "bidders")
    (models / "production.json").unlink()
    for _ in range(2):
        desk.refresh()
    assert "no model in production" in desk.obstacle
    assert desk.index.count(ALL, "bidders") == before
    assert [record.levelname for record in caplog.records] == ["ERROR"]
