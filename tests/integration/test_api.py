"""The API over real connections: what HTTP allows is answered, and always as documented."""

import json
import socket
from datetime import UTC, datetime

import pytest

from flask_app.log.lines import LoggedLabel
from tests.integration.server import RECORD, Server, exchange, problem, raw_request
from tests.traffic import LogReader

ROUTES = {
    "/predict": "OPTIONS, POST",
    "/predict_batch": "OPTIONS, POST",
    "/score_auction": "OPTIONS, POST",
    "/feedback": "OPTIONS, POST",
    "/health": "GET, HEAD, OPTIONS",
    "/ready": "GET, HEAD, OPTIONS",
    "/model": "GET, HEAD, OPTIONS",
    "/metrics": "GET, HEAD, OPTIONS",
    "/docs": "GET, HEAD, OPTIONS",
    "/docs/errors": "GET, HEAD, OPTIONS",
    "/openapi.json": "GET, HEAD, OPTIONS",
}


def test_a_record_is_scored_and_the_line_is_in_the_log(server: Server) -> None:
    answer = server.post("/predict", RECORD | {"bidder_id": "g***r"})
    assert answer.status == 200
    prediction = answer.json
    assert set(prediction) == {
        "prediction_id",
        "prediction",
        "is_shill_bid",
        "probability",
        "threshold",
        "model_version",
    }
    assert prediction["is_shill_bid"] == (prediction["probability"] >= prediction["threshold"])
    assert prediction["prediction"] == int(prediction["is_shill_bid"])
    lines, _ = server.logged()
    (line,) = [line for line in lines if line.prediction_id == prediction["prediction_id"]]
    assert line.record.auction_id == "732"
    assert line.record.bidder_id == "g***r"
    assert line.probability == prediction["probability"]
    assert line.prediction == prediction["prediction"]
    assert line.threshold == prediction["threshold"]
    assert line.model_version == prediction["model_version"] == server.get("/model").json["version"]
    assert abs((datetime.now(UTC) - line.at).total_seconds()) < 60


def test_a_batch_is_scored_in_order_like_single_records(server: Server) -> None:
    records = [RECORD | {"winning_ratio": number / 10} for number in range(11)]
    predictions = server.post("/predict_batch", records).json["predictions"]
    singly = [server.post("/predict", record).json for record in records]
    probabilities = [prediction["probability"] for prediction in predictions]
    assert probabilities == pytest.approx([single["probability"] for single in singly], abs=1e-6)
    assert len({round(probability, 3) for probability in probabilities}) > 2
    assert len({prediction["prediction_id"] for prediction in predictions}) == 11


def test_a_batch_with_one_bad_row_scores_and_logs_none(server: Server) -> None:
    before = len(server.logged()[0])
    answer = server.post("/predict_batch", [RECORD, RECORD | {"bidding_ratio": 1.7}])
    assert answer.status == 422
    assert problem(answer) == "out-of-range"
    assert answer.json["detail"] == "/1/bidding_ratio: 1.7 is above the maximum 1"
    assert len(server.logged()[0]) == before


def test_the_largest_batch_is_scored(server: Server) -> None:
    answer = server.post("/predict_batch", [RECORD] * 10_000)
    assert answer.status == 200
    assert len(answer.json["predictions"]) == 10_000
    assert problem(server.post("/predict_batch", [RECORD] * 10_001)) == "too-many-rows"


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_names_its_methods(server: Server, path: str) -> None:
    options = server.request("OPTIONS", path)
    assert options.status == 200
    assert ", ".join(sorted(options.headers["Allow"].split(", "))) == ROUTES[path]
    for method in ("DELETE", "PUT", "PATCH", "TRACE", "PROPFIND"):
        refused = server.request(method, path)
        assert (refused.status, problem(refused)) == (405, "method-not-allowed")
        assert refused.headers["Allow"]


@pytest.mark.parametrize("path", [path for path, methods in ROUTES.items() if "GET" in methods])
def test_head_is_get_without_its_body(server: Server, path: str) -> None:
    head, get = server.request("HEAD", path), server.get(path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize(
    "path",
    ["/", "/nope", "/predict/", "/docs/nope.js", "/docs/../settings.py", "/%ff", "/%00"],
)
def test_what_does_not_exist_is_a_problem_too(server: Server, path: str) -> None:
    answer = server.get(path)
    assert (answer.status, problem(answer)) == (404, "not-found")
    head = server.request("HEAD", path)
    assert (head.status, head.body) == (404, b"")
    assert head.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json+x"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/predict_batch", "/score_auction", "/feedback"])
def test_only_plain_json_is_taken(server: Server, path: str, headers: dict[str, str]) -> None:
    answer = server.request("POST", path, b"{}", headers=headers)
    assert (answer.status, problem(answer)) == (415, "unsupported-media-type")


def test_the_media_type_may_have_parameters_and_any_case(server: Server) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8", "Content-Encoding": "identity"}
    assert server.request("POST", "/predict", RECORD, headers=headers).status == 200


@pytest.mark.parametrize("path", ["/predict", "/predict_batch", "/score_auction", "/feedback"])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_beyond_the_limit_is_refused_and_the_client_gets_to_know(
    server: Server, path: str, chunked: bool
) -> None:
    size = 8 * 2**20 + 1
    if chunked:
        body = b"%x\r\n" % size + b" " * size + b"\r\n0\r\n\r\n"
        answer = exchange(server, raw_request(body, "Transfer-Encoding: chunked", path=path))
    else:
        body = b" " * size
        answer = exchange(server, raw_request(body, f"Content-Length: {size}", path=path))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close\r\n" in answer
    assert b"/docs/errors#body-too-large" in answer


def test_a_body_in_many_chunks_is_one_body(server: Server) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in json.dumps(RECORD).encode())
    request = raw_request(chunks + b"0\r\n\r\n", "Transfer-Encoding: chunked")
    assert exchange(server, request).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_asks_first_is_told_to_go_on(server: Server) -> None:
    body = json.dumps(RECORD).encode()
    head = raw_request(b"", f"Content-Length: {len(body)}", "Expect: 100-continue")
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head)
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_asks_first_is_spared_sending_too_much(server: Server) -> None:
    head = raw_request(b"", f"Content-Length: {2**30}", "Expect: 100-continue")
    assert exchange(server, head).startswith(b"HTTP/1.1 413 ")


def test_http_1_0_and_pipelined_requests_are_answered(server: Server) -> None:
    body = json.dumps(RECORD).encode()
    length = f"Content-Length: {len(body)}"
    assert exchange(server, raw_request(body, length, version="1.0")).startswith(b"HTTP/1.1 200 ")
    first = raw_request(body, length).replace(b"Connection: close\r\n", b"")
    assert exchange(server, first + raw_request(body, length)).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET " + b"/" * 10_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
        (
            b"GET /socket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        ),
    ],
)
def test_what_is_not_http_is_refused_without_a_server_error(
    server: Server, request_bytes: bytes
) -> None:
    status = exchange(server, request_bytes).split(b" ", 2)[1]
    assert status.startswith(b"4"), status


def test_answers_tell_no_server_version(server: Server) -> None:
    for answer in (server.get("/health"), server.post("/predict", RECORD), server.get("/nope")):
        assert "Server" not in answer.headers


def test_the_documentation_loads_nothing_from_elsewhere(server: Server) -> None:
    page = server.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    text = page.body.decode()
    assert "http://" not in text
    assert "https://" not in text
    assets = [part.split('"')[0] for part in text.split('"/docs/')[1:]]
    assert len(assets) >= 4
    for asset in assets:
        assert server.get(f"/docs/{asset}").status == 200, asset
    assert server.get("/docs/").body == page.body


def test_each_type_of_problem_is_explained_where_it_links_to(server: Server) -> None:
    type_ = server.get("/nope").json["type"]
    page, _, anchor = type_.partition("#")
    assert f'id="{anchor}"' in server.get(page).body.decode()


def test_labels_are_on_disk_before_the_answer_and_may_be_sent_again(server: Server) -> None:
    identifier = server.post("/predict", RECORD).json["prediction_id"]
    label = {"prediction_id": identifier, "is_shill": True, "labelled_at": "2026-11-23T12:00:00Z"}
    for _ in range(2):
        answer = server.post("/feedback", {"labels": [label]})
        assert (answer.status, answer.json) == (200, {"recorded": 1})
    changed = {"prediction_id": identifier, "is_shill": False}
    server.post("/feedback", {"labels": [changed]})
    lines = list(LogReader(server.log_dir / "labels", LoggedLabel))
    labels = [line for line in lines if line.prediction_id == identifier]
    # The workers' segments are read one after the other; the time tells which came last.
    labels.sort(key=lambda line: line.at)
    assert [line.is_shill for line in labels] == [True, True, False]
    assert labels[0].labelled_at == datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert labels[2].labelled_at == labels[2].at


def test_paths_and_methods_of_callers_make_no_new_series(server: Server) -> None:
    for number in range(5):
        server.get(f"/attack/{number}")
        server.request(f"ATTACK{number}", "/health")
    labels = {key for key in server.metrics() if key[0].startswith("shill_http_request")}
    assert not [key for key in labels if "attack" in str(key).lower()]
    assert server.metric("shill_http_request_duration_seconds_count", route="unknown") >= 5
    assert server.metric("shill_http_request_duration_seconds_count", method="other") >= 5


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=1.0.0", "text/plain;version=x"]
)
def test_metrics_come_in_a_format_the_scraper_knows(server: Server, accept: str) -> None:
    answer = server.request("GET", "/metrics?name[]=x", headers={"Accept": accept})
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(accept.partition(";")[0])
    assert b"shill_model_info{" in answer.body


def test_the_model_in_use_is_the_only_one_described(server: Server) -> None:
    described = [dict(labels) for name, labels in server.metrics() if name == "shill_model_info"]
    model = server.get("/model").json
    assert [info["version"] for info in described] == [model["version"]]
    assert described[0]["dataset"] == model["dataset"]["name"] == "tests"
