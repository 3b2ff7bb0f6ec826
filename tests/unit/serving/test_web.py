"""The Flask application is complete by itself: every route, every error as problem details."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray
from prometheus_client import generate_latest
from werkzeug.test import TestResponse

from flask_app.log.lines import LoggedLabel, LoggedPrediction
from flask_app.model.bands import NAMES, name_of
from flask_app.model.bundle import Bundle
from flask_app.record import FEATURES
from flask_app.serving.messages import MAX_EXPLAINED
from flask_app.serving.service import Service
from flask_app.serving.web import create_flask_app
from flask_app.store.directory_store import DirectoryStore
from tests.traffic import LogReader
from tests.unit.serving.conftest import RECORD, OpenService


@pytest.fixture
def client(service: Service) -> FlaskClient:
    return create_flask_app(service).test_client()


def problem(response: TestResponse) -> str:
    assert response.content_type == "application/problem+json"
    details: dict[str, Any] = response.json
    assert details["status"] == response.status_code
    return details["type"].removeprefix("/docs/errors#")


def test_a_record_and_a_batch_are_scored_alike(client: FlaskClient, service: Service) -> None:
    one = client.post("/predict", json=RECORD).json
    many = client.post("/predict_batch", json=[RECORD, RECORD]).json["predictions"]
    assert [prediction["probability"] for prediction in many] == [one["probability"]] * 2
    lines = list(LogReader(service.settings.log_dir, LoggedPrediction))
    ids = [prediction["prediction_id"] for prediction in (one, *many)]
    assert [line.prediction_id for line in lines] == ids


def test_the_outcome_follows_the_threshold_and_is_counted(
    client: FlaskClient, service: Service
) -> None:
    rows = [RECORD | {"successive_outbidding": x, "winning_ratio": x} for x in (0.0, 1.0)]
    honest, shill = client.post("/predict_batch", json=rows).json["predictions"]
    assert (honest["prediction"], honest["is_shill_bid"]) == (0, False)
    assert (shill["prediction"], shill["is_shill_bid"]) == (1, True)
    assert honest["probability"] < honest["threshold"] <= shill["probability"]
    for outcome in ("honest", "shill"):
        labels = {"model_version": honest["model_version"], "outcome": outcome}
        value = service.metrics.registry.get_sample_value("shill_predictions_total", labels)
        assert value == 1


class BadModel:
    """A model that gives a score that is none."""

    version, threshold = "bad-0123456789ab", 0.5

    def __init__(self, score: float) -> None:
        self.score = score

    def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.where(np.arange(len(rows)) == 0, self.score, 0.5)


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.1])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_score_that_is_no_probability_is_neither_answered_nor_logged_nor_counted(
    client: FlaskClient, service: Service, score: float, rows: int
) -> None:
    assert service.model is not None
    service.model.predictor = BadModel(score)  # type: ignore[assignment]
    answer = client.post("/predict_batch", json=[RECORD] * rows)
    assert (answer.status_code, problem(answer)) == (500, "invalid-score")
    assert list(LogReader(service.settings.log_dir, LoggedPrediction)) == []
    value = service.metrics.registry.get_sample_value
    assert value("shill_prediction_probability_sum") == 0
    assert value("shill_prediction_errors_total", {"reason": "invalid-score"}) == 1


def test_a_dry_run_is_answered_but_neither_logged_nor_counted(
    client: FlaskClient, service: Service
) -> None:
    real = client.post("/predict", json=RECORD).json
    counted = generate_latest(service.metrics.registry)
    dry = client.post("/predict?dry_run=true", json=RECORD).json
    batch = client.post("/predict_batch?dry_run=true", json=[RECORD])
    refused = client.post("/predict?dry_run=true", json=RECORD | {"bid": 1})
    label = {"prediction_id": real["prediction_id"], "is_shill": True}
    labelled = client.post("/feedback?dry_run=true", json={"labels": [label]})
    assert dry["probability"] == real["probability"]
    assert (batch.status_code, refused.status_code) == (200, 422)
    assert labelled.json == {"recorded": 0}
    assert generate_latest(service.metrics.registry) == counted
    (line,) = LogReader(service.settings.log_dir, LoggedPrediction)
    assert line.prediction_id == real["prediction_id"]
    assert list(LogReader(service.settings.log_dir / "labels", LoggedLabel)) == []


@pytest.mark.parametrize("name", ["dry_run", "explain"])
@pytest.mark.parametrize("query", ["{0}", "{0}=yes", "{0}=true&{0}=false"])
def test_a_flag_of_the_query_is_true_or_false(
    client: FlaskClient, service: Service, name: str, query: str
) -> None:
    answer = client.post(f"/predict?{query.format(name)}", json=RECORD)
    assert problem(answer) == "bad-request"
    assert f"{name} is " in answer.json["detail"]
    assert "set it to true or false" in answer.json["detail"]
    assert client.post(f"/predict?{name}=false&other=1", json=RECORD).status_code == 200
    assert len(list(LogReader(service.settings.log_dir, LoggedPrediction))) == 1


def test_records_are_counted_by_band(client: FlaskClient, service: Service) -> None:
    assert service.model is not None
    rows = [
        RECORD | {"successive_outbidding": a, "winning_ratio": b} for a in (0, 1) for b in (0, 1)
    ]
    answers = client.post("/predict_batch", json=rows).json["predictions"]
    answers.append(client.post("/predict", json=rows[-1]).json)

    bands = service.model.predictor.manifest.bands
    expected = Counter(name_of(answer["probability"], bands) for answer in answers)
    value = service.metrics.registry.get_sample_value
    counted = {name: value("shill_band_predictions_total", {"band": name}) for name in NAMES}
    assert counted == {name: expected[name] for name in NAMES}
    assert len(expected) > 1


def test_a_prediction_has_band_and_reasons_when_asked_for(
    client: FlaskClient, service: Service
) -> None:
    plain = client.post("/predict", json=RECORD).json
    explained = client.post("/predict?explain=true", json=RECORD).json
    batch = client.post("/predict_batch?explain=true", json=[RECORD, RECORD]).json["predictions"]

    assert not {"band", "reasons"} & set(plain)
    assert service.model is not None
    predictor = service.model.predictor
    assert explained["band"] == name_of(plain["probability"], predictor.manifest.bands)
    typical = np.array([list(predictor.manifest.typical.values())], dtype=np.float32)
    added = sum(reason["contribution"] for reason in explained["reasons"])
    assert added == pytest.approx(plain["probability"] - predictor.predict(typical)[0], abs=1e-6)
    values = {reason["feature"]: reason["value"] for reason in explained["reasons"]}
    assert values == {name: RECORD[name] for name in FEATURES}
    assert [row["reasons"] for row in batch] == [explained["reasons"]] * 2
    assert len(list(LogReader(service.settings.log_dir, LoggedPrediction))) == 4


def test_of_many_records_those_with_the_highest_probabilities_have_reasons(
    client: FlaskClient,
) -> None:
    ratios = np.random.default_rng(0).random(MAX_EXPLAINED + 20).round(3).tolist()
    rows = [RECORD | {"successive_outbidding": ratio, "winning_ratio": ratio} for ratio in ratios]
    answers = client.post("/predict_batch?explain=true", json=rows).json["predictions"]

    explained = [answer["probability"] for answer in answers if "reasons" in answer]
    others = [answer["probability"] for answer in answers if "reasons" not in answer]
    assert 0 < len(explained) <= MAX_EXPLAINED
    assert min(explained) > max(others)
    assert all("band" in answer for answer in answers)


def test_each_of_the_json_lines_has_reasons(client: FlaskClient) -> None:
    lines = (json.dumps(RECORD) + "\n") * 3 + "{}\n"
    answer = client.post(
        "/predict_batch?explain=true", data=lines, content_type="application/x-ndjson"
    )
    *scored, refused = map(json.loads, answer.data.splitlines())
    assert all(one["reasons"] for one in scored)
    assert refused["status"] == 422


@pytest.mark.parametrize("path", ["/predict", "/predict_batch", "/score_auction", "/feedback"])
def test_bad_bodies_are_problems_on_every_route(client: FlaskClient, path: str) -> None:
    assert problem(client.post(path, data=b"{}")) == "unsupported-media-type"
    assert problem(client.post(path, data=b"{", content_type="application/json")) == (
        "malformed-json"
    )
    too_large = client.post(path, data=b" " * 100_001, content_type="application/json")
    assert problem(too_large) == "body-too-large"


def test_a_failure_nobody_foresaw_is_a_problem_and_a_log_entry(
    client: FlaskClient, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    assert service.model is not None
    service.model.predictor = None  # type: ignore[assignment]
    assert problem(client.post("/predict", json=RECORD)) == "internal-error"
    assert problem(client.get("/model")) == "internal-error"
    assert [record.exc_info is not None for record in caplog.records] == [True, True]
    errors = service.metrics.registry.get_sample_value(
        "shill_prediction_errors_total", {"reason": "internal-error"}
    )
    assert errors == 1


def test_labels_are_recorded_with_the_time_they_arrive(
    client: FlaskClient, service: Service
) -> None:
    identifier = client.post("/predict", json=RECORD).json["prediction_id"]
    answer = client.post(
        "/feedback", json={"labels": [{"prediction_id": identifier, "is_shill": True}]}
    )
    assert answer.json == {"recorded": 1}
    (line,) = LogReader(service.settings.log_dir / "labels", LoggedLabel)
    assert (line.prediction_id, line.is_shill) == (identifier, True)
    assert line.labelled_at == line.at
    assert len(list(LogReader(service.settings.log_dir, LoggedPrediction))) == 1


def test_without_a_model_there_is_a_reason(open_service: OpenService, tmp_path: Path) -> None:
    service = open_service(models=DirectoryStore(tmp_path / "empty", Bundle))
    client = create_flask_app(service).test_client()
    for answer in (
        client.get("/ready"),
        client.get("/model"),
        client.post("/predict", json=RECORD),
    ):
        assert problem(answer) == "not-ready"
        assert answer.json["detail"] == "no model is loaded: no version has been promoted"
    assert client.get("/health").json == {"status": "alive"}


def test_metrics_show_the_model_in_use(client: FlaskClient, service: Service) -> None:
    assert service.model is not None
    version = service.model.predictor.version
    text = client.get("/metrics").text
    assert (
        f'shill_model_info{{dataset="tests",estimator="gradient_boosting",version="{version}"}} 1'
        in (text)
    )


def test_redirects_and_unknown_pages_keep_their_status(client: FlaskClient) -> None:
    assert problem(client.get("/nope")) == "not-found"
    assert problem(client.get("/docs/nope.js")) == "not-found"
    answer = client.put("/predict")
    assert problem(answer) == "method-not-allowed"
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    redirect = client.get("/docs//errors")
    assert (redirect.status_code, redirect.headers["Location"]) == (
        308,
        "http://localhost/docs/errors",
    )
