"""The desk's pages: what they show, and what becomes of a decision."""

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from flask_app.archive.query import connect
from flask_app.log.lines import LoggedLabel
from flask_app.model.bands import NAMES
from flask_app.review import web
from flask_app.review.desk import Desk
from flask_app.review.index import STATES, Filter, Item
from flask_app.review.web import create_review_app
from flask_app.settings import Settings
from flask_app.training.labelled import labelled_records
from tests.traffic import NOW, LogReader, prediction, write
from tests.unit.review.conftest import OpenDesk

ALL = Filter(bands=NAMES, states=STATES)


@pytest.fixture
def suspect(desk: Desk) -> Item:
    return desk.index.bidders(Filter())[0]


def decide(client: FlaskClient, item: Item, verdict: str, **more: str) -> Any:
    form = {"prediction_id": item.prediction_id, "verdict": verdict, "reviewer": "Ada"} | more
    return client.post("/decisions", data=form)


def labels(desk: Desk) -> list[LoggedLabel]:
    return list(LogReader(desk.settings.log_dir / "labels", LoggedLabel))


def metrics(client: FlaskClient) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
    }


def test_the_queue_leads_to_the_most_suspicious_bidders_auction(
    client: FlaskClient, suspect: Item
) -> None:
    page = client.get("/").text
    first = re.search(r'<td><a href="([^"]+)">([^<]+)</a>', page)
    assert first
    assert first[2] == suspect.bidder_id
    auction = client.get(first[1].replace("&amp;", "&"))
    assert auction.status_code == 200
    assert f"Auction {suspect.auction_id}" in auction.text


def test_an_auctions_bids_are_drawn_and_the_suspects_stand_out(
    client: FlaskClient, desk: Desk, suspect: Item
) -> None:
    page = client.get(f"/auctions/{suspect.auction_id}?bidder={suspect.bidder_id}").text
    bids = desk.site.bids(suspect.auction_id)
    assert page.count("<circle") == len(bids)
    his = sum(bid.bidder_id == suspect.bidder_id for bid in bids)
    assert len(re.findall(r'<circle class="his( self)?"', page)) == his
    leader, highest, himself = None, 0.0, 0
    for bid in bids:
        himself += bid.bidder_id == leader == suspect.bidder_id
        if bid.amount > highest:
            leader, highest = bid.bidder_id, bid.amount
    assert page.count('class="his self"') == himself


def test_a_suspect_has_reasons_in_words(client: FlaskClient, desk: Desk, suspect: Item) -> None:
    page = client.get(f"/auctions/{suspect.auction_id}?bidder={suspect.bidder_id}").text
    for reason in desk.reasons(suspect):
        assert reason.sentence in page.replace("&#39;", "'")


def test_a_decision_is_in_the_label_log_before_the_page_says_so(
    client: FlaskClient, desk: Desk, suspect: Item
) -> None:
    answer = decide(client, suspect, "shill", comment="three in a row")
    assert answer.status_code == 303
    (line,) = labels(desk)
    assert (line.prediction_id, line.is_shill) == (suspect.prediction_id, True)
    assert (line.reviewer, line.comment, line.weight) == ("Ada", "three in a row", 1.0)
    page = client.get(answer.location).text
    assert f"Recorded: {suspect.bidder_id} in auction {suspect.auction_id} is a shill" in page
    assert desk.index.item(suspect.prediction_id).state == "shill"  # type: ignore[union-attr]


def test_after_a_decision_the_next_open_one_is_shown(
    client: FlaskClient, desk: Desk, suspect: Item
) -> None:
    upcoming = desk.index.bidders(Filter())[1]
    answer = decide(client, suspect, "honest")
    assert answer.location.startswith(
        f"/auctions/{upcoming.auction_id}?bidder={upcoming.bidder_id}"
    )
    assert desk.index.bidders(Filter())[0].prediction_id == upcoming.prediction_id


def test_a_decision_can_be_taken_back(client: FlaskClient, desk: Desk, suspect: Item) -> None:
    decide(client, suspect, "shill")
    answer = decide(client, suspect, "undo")
    assert [line.is_shill for line in labels(desk)] == [True, None]
    assert desk.index.bidders(Filter())[0] == suspect._replace(reviewer="Ada")
    assert "is open again" in client.get(answer.location).text


def test_what_is_skipped_leaves_the_queue_without_a_label(
    client: FlaskClient, desk: Desk, suspect: Item
) -> None:
    decide(client, suspect, "skip")
    (line,) = labels(desk)
    assert (line.is_shill, line.skipped) == (None, True)
    assert desk.index.bidders(Filter())[0] != suspect
    assert desk.index.count(Filter(states=("skipped",)), "bidders") == 1


def test_decisions_are_there_after_a_restart(
    client: FlaskClient, settings: Settings, suspect: Item, open_desk: OpenDesk
) -> None:
    decide(client, suspect, "shill", comment="sure")
    again = open_desk(settings)
    found = again.index.item(suspect.prediction_id)
    assert found is not None
    assert (found.state, found.reviewer, found.comment) == ("shill", "Ada", "sure")


def test_decisions_become_a_training_set(client: FlaskClient, desk: Desk, suspect: Item) -> None:
    other = desk.index.bidders(Filter(drawn=True))[0]
    decide(client, suspect, "shill")
    decide(client, other, "honest")
    with connect(desk.settings.log_dir, desk.settings.archive) as database:
        frame = labelled_records(database).frame
    assert dict(zip(frame["bidder_id"], frame["is_shill"], strict=True)) == {
        suspect.bidder_id: 1,
        other.bidder_id: 0,
    }


def test_one_of_the_sample_stands_for_many_and_one_of_neither_for_none(
    client: FlaskClient, desk: Desk
) -> None:
    drawn = desk.index.bidders(Filter(drawn=True))[0]
    decide(client, drawn, "honest", drawn="1")
    clear = desk.index.bidders(Filter(bands=("clear",)))
    decide(client, next(item for item in clear if not item.is_drawn), "honest")
    first, second = labels(desk)
    assert first.weight == 1 / desk.settings.review_sample
    assert not isinstance(second.weight, float)


def test_precision_and_recall_come_from_what_was_decided(client: FlaskClient, desk: Desk) -> None:
    assert "not known yet" in client.get("/quality").text
    flagged = desk.index.bidders(Filter(bands=("review",))) + desk.index.bidders(
        Filter(bands=("block",))
    )
    for number, item in enumerate(flagged):
        decide(client, item, "shill" if number % 2 else "honest")
    for item in desk.index.bidders(Filter(drawn=True))[:5]:
        decide(client, item, "honest")
    page = client.get("/quality").text
    assert "not known yet" not in page
    shown = metrics(client)
    value = shown["shill_review_precision", "value"]
    assert shown["shill_review_precision", "low"] < value < shown["shill_review_precision", "high"]
    assert shown["shill_review_recall", "value"] == 1.0
    assert shown["shill_review_recall", "low"] < 1.0
    assert shown["shill_review_judged", "clear"] == 5
    total = sum(shown["shill_review_decisions_total", verdict] for verdict in ("shill", "honest"))
    assert total == len(flagged) + 5


@pytest.mark.parametrize(
    ("form", "status", "complaint"),
    [
        ({"verdict": "guilty"}, 400, "verdict is one of shill, honest, skip, undo"),
        ({"prediction_id": "none"}, 404, "look again"),
        ({"reviewer": "  "}, 422, "reviewer is empty"),
        ({"reviewer": "x" * 81}, 422, "reviewer has 81 characters, 80 at most"),
        ({"comment": "x" * 2001}, 422, "comment has 2001 characters"),
    ],
)
def test_a_bad_decision_says_what_is_wrong_and_is_not_recorded(
    client: FlaskClient,
    desk: Desk,
    suspect: Item,
    form: dict[str, str],
    status: int,
    complaint: str,
) -> None:
    answer = decide(client, suspect, **({"verdict": "shill"} | form))
    assert answer.status_code == status
    assert complaint in answer.text
    assert labels(desk) == []


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_another_sites_page_cannot_decide(
    client: FlaskClient, desk: Desk, suspect: Item, headers: dict[str, str]
) -> None:
    form = {"prediction_id": suspect.prediction_id, "verdict": "shill", "reviewer": "Ada"}
    assert client.post("/decisions", data=form, headers=headers).status_code == 403
    assert labels(desk) == []
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/decisions", data=form, headers=own).status_code == 303


def test_who_has_logged_in_at_the_edge_decides_by_that_name(
    client: FlaskClient, desk: Desk, suspect: Item
) -> None:
    login = {"Remote-User": "ann"}
    page = client.get(f"/auctions/{suspect.auction_id}", headers=login).text
    assert "You decide as ann." in page
    assert "Your name" not in page
    form = {"prediction_id": suspect.prediction_id, "verdict": "shill", "reviewer": "Ada"}
    assert client.post("/decisions", data=form, headers=login).status_code == 303
    assert [line.reviewer for line in labels(desk)] == ["ann"]


def test_only_names_that_are_known_reach_the_desk(settings: Settings, open_desk: OpenDesk) -> None:
    desk = open_desk(Settings(**vars(settings) | {"review_hosts": "desk.example, other"}))
    client = create_review_app(desk).test_client()
    for host in ("localhost", "localhost:8002", "127.0.0.1:8002", "[::1]:8002", "desk.example"):
        assert client.get("/", headers={"Host": host}).status_code == 200, host
    for host in ("evil.example:8002", "desk.example.evil", ""):
        answer = client.get("/", headers={"Host": host})
        assert answer.status_code == 421, host
        assert "SHILL_REVIEW_HOSTS" in answer.text


def test_of_a_crowded_auction_the_suspicious_and_the_last_bids_are_shown(
    client: FlaskClient, desk: Desk, suspect: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_SHOWN", 2)
    monkeypatch.setattr(web, "MAX_DRAWN", 3)
    everybody = desk.index.auction(suspect.auction_id)
    last = everybody[-1]
    page = client.get(f"/auctions/{suspect.auction_id}?bidder={last.bidder_id}").text
    assert page.count("<section") == 3
    assert f"{len(everybody) - 3} less suspicious ones are not shown" in page
    assert page.count("<circle") == 3
    assert f"{len(desk.site.bids(suspect.auction_id)) - 3} earlier bids are not drawn" in page


def test_a_log_that_cannot_be_written_is_told(
    client: FlaskClient, desk: Desk, suspect: Item, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.decisions._log, "append", lambda *_, **__: False)
    answer = decide(client, suspect, "shill")
    assert answer.status_code == 503
    assert "nothing was recorded" in answer.text
    assert desk.index.bidders(Filter())[0] == suspect


def test_nothing_loads_from_elsewhere_and_names_cannot_be_markup(
    settings: Settings, open_desk: OpenDesk
) -> None:
    name = "<script>alert(1)</script>"
    write(settings.log_dir, [prediction(NOW, 1, auction_id=name, bidder_id='"><b>', probability=1)])
    desk = open_desk(settings)
    client = create_review_app(desk).test_client()
    for path in ("/?band=all", "/auctions?band=all", "/auctions/%3Cscript%3Ealert(1)%3C/script%3E"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert name not in answer.text
        assert '"><b>' not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert not re.findall(r'(?:src|href|action)="(?!/|\?|#)', answer.text)


def test_an_auction_that_the_tables_do_not_have_is_shown_without_a_drawing(
    settings: Settings, open_desk: OpenDesk
) -> None:
    bare = open_desk(Settings(**vars(settings) | {"review_auctions": "", "review_bids": ""}))
    client = create_review_app(bare).test_client()
    auction = bare.index.bidders(Filter())[0].auction_id
    page = client.get(f"/auctions/{auction}").text
    assert "there are no bids to draw" in page
    assert "<svg" not in page


def test_what_is_not_there_is_a_page_too(client: FlaskClient) -> None:
    for path in ("/auctions/none", "/nowhere"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "To the queue" in answer.text


def test_strange_queries_show_the_queue(client: FlaskClient) -> None:
    for query in ("?page=-1", "?page=99999999999", "?band=x&state=y", "?page=\u0664", "?text=%00"):
        assert client.get(f"/{query}").status_code == 200, query


def test_it_is_ready_once_there_is_something_to_show(
    client: FlaskClient, settings: Settings
) -> None:
    assert client.get("/ready").json == {"status": "ready", "detail": ""}
    assert client.get("/health").json == {"status": "alive"}
    unread = create_review_app(Desk(settings)).test_client()
    assert unread.get("/ready").status_code == 503


def test_every_metric_is_documented_and_nothing_else(client: FlaskClient) -> None:
    page = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
    section = page.partition("## The review desk")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(shill_\w+)`", section, flags=re.MULTILINE))
    families = text_string_to_metric_families(client.get("/metrics").text)
    exposed = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in families
        if not family.name.endswith("_created")
    }
    assert documented == exposed
