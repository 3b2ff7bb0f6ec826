"""`POST /score_auction`: an auction and its bids in, its bidders out, the most suspicious first."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from flask_app.bids.features import compute
from flask_app.log.lines import LoggedPrediction
from flask_app.model.bands import name_of
from flask_app.profiles.snapshot import DATABASE, Snapshot
from flask_app.record import FEATURES
from flask_app.serving.messages import MAX_BIDS
from flask_app.serving.service import Service
from flask_app.serving.web import create_flask_app
from flask_app.settings import Settings
from flask_app.simulator.simulation import Simulation
from flask_app.store.directory_store import DirectoryStore
from tests.profiles import UNTIL
from tests.traffic import LogReader
from tests.unit.serving.conftest import OpenService
from tests.unit.serving.test_web import problem

OPENED = datetime(2026, 11, 1, 12, tzinfo=UTC)
Body = dict[str, Any]


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return create_flask_app(service).test_client()


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _of_site(site: Simulation, name: str) -> Body:
    """The body that asks for an auction of the site's tables."""
    (row,) = site.auctions[site.auctions["auction_id"] == name].to_dict("records")

    def time(microseconds: int) -> str:
        return _time(datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds))

    return {
        "auction": {
            **{key: row[key] for key in ("auction_id", "seller_id", "starting_price")},
            **{key: time(row[key]) for key in ("opened_at", "closes_at")},
        },
        "bids": [
            {
                "bid_id": bid.bid_id,
                "bidder_id": bid.bidder_id,
                "amount": bid.amount,
                "placed_at": time(bid.placed_at),
            }
            for bid in site.bids[site.bids["auction_id"] == name].itertuples()
        ],
    }


def _body(*bidders: str, **auction: Any) -> Body:
    """An auction of a seller that nobody knows; each bid is above the one before, an hour later."""
    return {
        "auction": {
            "auction_id": "new",
            "seller_id": "s",
            "starting_price": 1.0,
            "opened_at": _time(OPENED),
            "closes_at": _time(OPENED + timedelta(days=5)),
            **auction,
        },
        "bids": [
            {
                "bid_id": str(number),
                "bidder_id": bidder,
                "amount": 2.0 + number,
                "placed_at": _time(OPENED + timedelta(hours=number)),
            }
            for number, bidder in enumerate(bidders)
        ],
    }


def test_an_auction_has_the_records_that_score_gives_it(
    client: FlaskClient, site: Simulation
) -> None:
    whole = compute(site.auctions, site.bids).set_index(["auction_id", "bidder_id"])
    for name in site.auctions["auction_id"].iloc[:5]:
        answer = client.post("/score_auction", json=_of_site(site, name)).json
        assert len(answer["bidders"]) == len(whole.loc[name])
        for bidder in answer["bidders"]:
            assert bidder["in_profiles"]
            expected = whole.loc[(name, bidder["bidder_id"]), [*FEATURES]].astype(float)
            assert list(bidder["features"]) == [*FEATURES]
            np.testing.assert_allclose([*bidder["features"].values()], expected, atol=1e-9)


def test_the_answer_is_the_models_and_is_logged_and_counted_as_predictions_are(
    client: FlaskClient, service: Service, site: Simulation
) -> None:
    answer = client.post("/score_auction", json=_of_site(site, "1")).json
    lines = {
        line.prediction_id: line for line in LogReader(service.settings.log_dir, LoggedPrediction)
    }
    assert len(lines) == len(answer["bidders"])
    for bidder in answer["bidders"]:
        line = lines[bidder["prediction_id"]]
        assert (line.record.auction_id, line.record.bidder_id) == ("1", bidder["bidder_id"])
        record = {name: getattr(line.record, name) for name in FEATURES}
        assert record == bidder["features"]
        alone = client.post("/predict?dry_run=true", json={"auction_id": "1", **record}).json
        assert bidder["probability"] == pytest.approx(alone["probability"], abs=1e-6)
    counted = service.metrics.registry.get_sample_value("shill_prediction_probability_count")
    assert counted == len(lines)


def test_the_most_suspicious_comes_first_and_what_is_flagged_has_reasons(
    client: FlaskClient, service: Service, site: Simulation
) -> None:
    assert service.model is not None
    bands = service.model.predictor.manifest.bands
    flagged = 0
    for name in site.auctions["auction_id"]:
        bidders = client.post("/score_auction", json=_of_site(site, name)).json["bidders"]
        probabilities = [bidder["probability"] for bidder in bidders]
        assert probabilities == sorted(probabilities, reverse=True)
        for bidder in bidders:
            assert bidder["band"] == name_of(bidder["probability"], bands)
            assert ("reasons" in bidder) == (bidder["band"] != "clear")
            flagged += "reasons" in bidder
    assert flagged > 0


def test_reasons_can_be_left_out(client: FlaskClient, site: Simulation) -> None:
    for name in site.auctions["auction_id"]:
        answer = client.post("/score_auction?explain=false", json=_of_site(site, name)).json
        assert all("band" in bidder for bidder in answer["bidders"])
        assert not any("reasons" in bidder for bidder in answer["bidders"])


def test_a_dry_run_leaves_no_trace(client: FlaskClient, service: Service) -> None:
    answer = client.post("/score_auction?dry_run=true", json=_body("a", "b"))
    assert len(answer.json["bidders"]) == 2
    assert list(LogReader(service.settings.log_dir, LoggedPrediction)) == []


def test_a_bidder_without_a_history_is_said_to_have_none(client: FlaskClient) -> None:
    (bidder,) = client.post("/score_auction", json=_body("nobody", "nobody")).json["bidders"]
    assert not bidder["in_profiles"]
    features = bidder["features"]
    assert (features["bidder_tendency"], features["winning_ratio"]) == (0.0, 0.0)


def test_a_seller_who_bids_on_his_own_auction_is_told(client: FlaskClient) -> None:
    bidders = client.post("/score_auction", json=_body("s", "b")).json["bidders"]
    assert {one["bidder_id"]: one["is_seller"] for one in bidders} == {"s": True, "b": False}


def test_an_auction_that_is_open_is_scored_as_it_is_now(client: FlaskClient) -> None:
    now = datetime.now(UTC)
    body = _body(opened_at=_time(now - timedelta(days=1)), closes_at=_time(now + timedelta(days=1)))
    body["bids"] = [
        {
            "bid_id": "1",
            "bidder_id": "a",
            "amount": 5,
            "placed_at": _time(now - timedelta(hours=12)),
        }
    ]
    (bidder,) = client.post("/score_auction", json=body).json["bidders"]
    assert bidder["features"]["early_bidding"] == pytest.approx(0.25)
    assert bidder["features"]["auction_duration"] == 2.0


def test_an_auction_without_bids_has_no_bidders(client: FlaskClient) -> None:
    answer = client.post("/score_auction", json=_body())
    assert (answer.status_code, answer.json["bidders"]) == (200, [])


def test_a_repeated_bid_is_passed_over_and_told(client: FlaskClient) -> None:
    body = _body("a", "b")
    once = client.post("/score_auction", json=body).json
    body["bids"].append(body["bids"][0])
    twice = client.post("/score_auction", json=body).json
    assert (once["repeated_bids"], twice["repeated_bids"]) == (0, 1)
    assert [one["features"] for one in once["bidders"]] == [
        one["features"] for one in twice["bidders"]
    ]


@pytest.mark.parametrize(
    ("auction", "bid", "name", "pointer"),
    [
        ({}, {"amount": 0}, "out-of-range", "/bids/1/amount"),
        ({}, {"amount": -5}, "out-of-range", "/bids/1/amount"),
        ({}, {"amount": 1e16}, "out-of-range", "/bids/1/amount"),
        ({"starting_price": 0}, {}, "out-of-range", "/auction/starting_price"),
        ({"seller_id": ""}, {}, "wrong-length", "/auction/seller_id"),
        ({"seller_id": "é" * 10_000}, {}, "wrong-length", "/auction/seller_id"),
        ({"item_category": None}, {}, "wrong-type", "/auction/item_category"),
        ({"opened_at": "2026-11-01T12:00:00"}, {}, "wrong-format", "/auction/opened_at"),
        ({"closes_at": _time(OPENED)}, {}, "contradiction", "/auction/closes_at"),
        ({"closes_at": "2028-01-01T00:00:00Z"}, {}, "contradiction", "/auction/closes_at"),
        ({}, {"placed_at": "2026-11-01T11:59:59Z"}, "contradiction", "/bids/1/placed_at"),
        ({}, {"placed_at": "2026-11-06T12:00:01Z"}, "contradiction", "/bids/1/placed_at"),
        ({}, {"bid_id": "0"}, "contradiction", "/bids/1/bid_id"),
        ({}, {"bidder": "b"}, "unknown-field", "/bids/1/bidder"),
    ],
)
def test_each_fault_is_told_with_its_place(
    client: FlaskClient, auction: Body, bid: Body, name: str, pointer: str
) -> None:
    body = _body("a", "b", **auction)
    body["bids"][1] |= bid
    answer = client.post("/score_auction", json=body)
    assert problem(answer) == name
    assert pointer in [error["pointer"] for error in answer.json["errors"]]
    assert answer.json["title"]


def test_what_is_in_the_future_is_refused(client: FlaskClient) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    unopened = _body(opened_at=_time(soon), closes_at=_time(soon + timedelta(days=1)))
    assert "is in the future" in client.post("/score_auction", json=unopened).json["detail"]
    early = _body("a", closes_at=_time(soon + timedelta(days=1)))
    early["auction"]["opened_at"] = _time(soon - timedelta(days=1))
    early["bids"][0]["placed_at"] = _time(soon)
    assert "is in the future" in client.post("/score_auction", json=early).json["detail"]
    early["bids"][0]["placed_at"] = _time(soon - timedelta(minutes=59, seconds=30))
    assert client.post("/score_auction", json=early).status_code == 200  # clocks differ


def test_all_contradictions_are_counted(client: FlaskClient) -> None:
    body = _body(*"ab" * 150)
    for bid in body["bids"]:
        bid["placed_at"] = "2025-01-01T00:00:00Z"
    answer = client.post("/score_auction", json=body).json
    assert (len(answer["errors"]), answer["omitted_errors"]) == (100, 200)


def test_keys_may_not_be_repeated(client: FlaskClient) -> None:
    text = client.application.json.dumps(_body("a")).replace(
        '"amount": 2.0', '"amount": 1.5, "amount": 2.0'
    )
    answer = client.post("/score_auction", data=text, content_type="application/json")
    assert problem(answer) == "duplicate-key"


def test_too_many_bids_are_refused_before_they_are_followed(
    settings: Settings, open_service: OpenService
) -> None:
    service = open_service(replace(settings, max_body_bytes=2**23))
    client = create_flask_app(service).test_client()
    body = _body("a")
    body["bids"] = [body["bids"][0] | {"bid_id": str(number)} for number in range(MAX_BIDS)]
    assert client.post("/score_auction", json=body).status_code == 200
    body["bids"].append(body["bids"][0])
    assert problem(client.post("/score_auction", json=body)) == "too-many-rows"


def test_without_profiles_there_is_a_reason_and_the_rest_goes_on(
    open_service: OpenService, tmp_path: Path
) -> None:
    service = open_service(profiles=DirectoryStore(tmp_path / "profiles", Snapshot))
    client = create_flask_app(service).test_client()
    answer = client.post("/score_auction", json=_body("a"))
    assert (answer.status_code, problem(answer)) == (503, "no-profiles")
    assert "no version has been promoted" in answer.json["detail"]
    assert client.get("/ready").json["profiles"] is None


def test_a_damaged_snapshot_is_not_used_and_is_counted(
    open_service: OpenService, profiles: DirectoryStore, tmp_path: Path
) -> None:
    store = DirectoryStore(tmp_path / "profiles", Snapshot)
    (version,) = profiles.versions()
    store.promote(store.publish(profiles.fetch(version)))
    database = store.path / version / DATABASE
    database.chmod(0o644)
    database.write_bytes(database.read_bytes()[:-1])
    service = open_service(profiles=store)
    client = create_flask_app(service).test_client()
    assert "sha256" in client.post("/score_auction", json=_body("a")).json["detail"]
    failures = service.metrics.registry.get_sample_value(
        "shill_profile_load_failures_total", {"reason": "checksum"}
    )
    assert failures == 1


def test_the_age_of_the_profiles_is_told(
    client: FlaskClient, service: Service, profiles: DirectoryStore
) -> None:
    told = client.get("/ready").json["profiles"]
    assert told["version"] == profiles.versions()[0]
    assert datetime.fromisoformat(told["until"]) == UNTIL
    value = service.metrics.registry.get_sample_value
    assert value("shill_profiles_until_timestamp_seconds") == UNTIL.timestamp()
    assert value("shill_profiles_info", {"version": told["version"]}) == 1
