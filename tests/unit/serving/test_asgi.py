"""The short way answers what Flask would, within limits of size and time."""

import asyncio
import json
import os
import threading
from collections.abc import Awaitable
from typing import Any

import pytest

from flask_app.log.lines import LoggedPrediction
from flask_app.serving import asgi, validation
from flask_app.serving.asgi import Application
from flask_app.serving.rows import Rows
from flask_app.serving.service import LARGE_BODY_BYTES, Service
from flask_app.serving.web import create_flask_app
from tests.traffic import LogReader
from tests.unit.serving.conftest import RECORD

JSON = (b"content-type", b"application/json")
Sent = list[dict[str, Any]]


@pytest.fixture
def application(service: Service, monkeypatch: pytest.MonkeyPatch) -> Application:
    monkeypatch.setattr(asgi, "LINGER_SECONDS", 0.01)
    return Application(service, create_flask_app(service))


async def ask(
    application: Application,
    *messages: dict[str, Any],
    method: str = "POST",
    path: str = "/predict",
    headers: tuple[tuple[bytes, bytes], ...] = (JSON,),
    query: bytes = b"",
    state: dict[str, Any] | None = None,
) -> Sent:
    """Send one request whose body comes in `messages`, then nothing more."""
    waiting = iter(messages)
    sent: Sent = []

    async def receive() -> dict[str, Any]:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": list(headers),
        "state": {} if state is None else state,
    }
    await application(scope, receive, send)
    return sent


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def status_of(sent: Sent) -> int:
    status: int = sent[0]["status"]
    return status


def problem_of(sent: Sent) -> str:
    details = json.loads(sent[1]["body"])
    assert details["status"] == status_of(sent)
    return str(details["type"]).removeprefix("/docs/errors#")


def run(sending: Awaitable[Sent]) -> Sent:
    async def main() -> Sent:
        return await sending

    return asyncio.run(main())


def requests_counted(service: Service, **labels: str) -> float | None:
    return service.metrics.registry.get_sample_value(
        "shill_http_request_duration_seconds_count", labels
    )


def test_a_record_is_answered_like_flask_answers_it(
    application: Application, service: Service
) -> None:
    body = json.dumps(RECORD).encode()
    answer = json.loads(run(ask(application, part(body)))[1]["body"])
    same = create_flask_app(service).test_client().post("/predict", json=RECORD).json
    del answer["prediction_id"], same["prediction_id"]
    assert answer == same
    assert requests_counted(service, route="/predict", method="POST", status="200") == 1


def test_a_body_in_parts_is_put_together(application: Application) -> None:
    body = json.dumps(RECORD).encode()
    parts = [part(body[:9], more=True), part(body[9:20], more=True), part(body[20:])]
    assert status_of(run(ask(application, *parts))) == 200


@pytest.mark.parametrize("path", ["/predict", "/feedback", "/nope"])
def test_a_body_beyond_the_limit_is_refused_before_it_is_read(
    application: Application, path: str
) -> None:
    headers = (JSON, (b"content-length", b"100001"))
    sent = run(ask(application, {"type": "http.disconnect"}, path=path, headers=headers))
    assert problem_of(sent) == "body-too-large"
    assert (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize(
    "parts",
    [
        [part(b" " * 60_000, more=True), part(b" " * 60_000, more=True)],
        [part(b" " * 60_000, more=True), part(b" " * 60_000)],
        [part(b" " * 100_001)],
    ],
)
def test_a_body_beyond_the_limit_is_refused_while_it_is_read(
    application: Application, service: Service, parts: list[dict[str, Any]]
) -> None:
    assert problem_of(run(ask(application, *parts))) == "body-too-large"
    assert requests_counted(service, route="/predict", method="POST", status="413") == 1


@pytest.mark.parametrize("last", [(), ({"type": "http.disconnect"},)])
def test_a_body_that_does_not_arrive_is_given_up(
    application: Application, last: tuple[dict[str, Any], ...]
) -> None:
    assert problem_of(run(ask(application, part(b"{", more=True), *last))) == "body-timeout"


def test_small_requests_are_answered_between_the_slices_of_a_batch(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "SLICE_ROWS", 10)
    answered: list[str] = []

    async def answer(name: str, *content: Any, path: str) -> Sent:
        sent = await ask(application, part(json.dumps(*content).encode()), path=path)
        answered.append(name)
        return sent

    async def both() -> tuple[Sent, Sent]:
        batch = asyncio.create_task(answer("batch", [RECORD] * 100, path="/predict_batch"))
        await asyncio.sleep(0)
        return await answer("record", RECORD, path="/predict"), await batch

    for sent in asyncio.run(both()):
        assert status_of(sent) == 200
    assert answered == ["record", "batch"]


def test_what_is_wrong_with_a_large_body_is_found_away_from_the_event_loop(
    application: Application, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    original = service._decoder.batch

    def batch(body: bytes) -> Rows:
        threads.append(threading.current_thread().name)
        return original(body)

    monkeypatch.setattr(service._decoder, "batch", batch)
    wrong = json.dumps([RECORD, " " * LARGE_BODY_BYTES]).encode()
    assert problem_of(run(ask(application, part(wrong), path="/predict_batch"))) == "wrong-type"
    assert [thread.partition("_")[0] for thread in threads] == ["large-body"]


def test_labels_go_to_disk_away_from_the_event_loop(
    application: Application, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    original = os.fsync

    def fsync(fd: int) -> None:
        threads.append(threading.current_thread().name)
        original(fd)

    label = {"prediction_id": "01936a3c-0000-7000-8000-000000000000", "is_shill": True}
    body = json.dumps({"labels": [label]}).encode()
    monkeypatch.setattr(os, "fsync", fsync)
    sent = run(ask(application, part(body[:10], more=True), part(body[10:]), path="/feedback"))
    assert sent[1]["body"] == b'{"recorded":1}'
    assert threads
    assert all(thread.startswith("durable") for thread in threads)
    assert requests_counted(service, route="/feedback", method="POST", status="200") == 1


def test_a_refused_label_is_no_refused_prediction(
    application: Application, service: Service
) -> None:
    assert problem_of(run(ask(application, part(b"{"), path="/feedback"))) == "malformed-json"
    large = part(b" " * 100_001)
    assert problem_of(run(ask(application, large, path="/feedback"))) == "body-too-large"
    for reason in ("malformed-json", "body-too-large"):
        value = service.metrics.registry.get_sample_value(
            "shill_prediction_errors_total", {"reason": reason}
        )
        assert value == 0


def test_flask_gets_the_body_whole_and_answers_everything_else(
    application: Application, service: Service
) -> None:
    parts = [part(b"{", more=True), part(b"}")]
    headers = (JSON, (b"transfer-encoding", b"chunked"))
    sent = run(ask(application, *parts, path="/health", headers=headers))
    assert status_of(sent) == 405
    assert requests_counted(service, route="/health", method="POST", status="405") == 1


def test_beyond_the_bytes_in_flight_bodies_are_refused_until_others_are_answered(
    application: Application, service: Service
) -> None:
    limit = application._max_inflight_bytes = 150_000
    large = part(b" " * 90_000, more=True)

    async def overload() -> tuple[Sent, Sent]:
        task = asyncio.create_task(ask(application, large, path="/feedback"))
        await asyncio.sleep(0)
        return await ask(application, large), await task

    refused, timed_out = asyncio.run(overload())
    assert (status_of(refused), problem_of(refused)) == (503, "overloaded")
    assert (b"Retry-After", b"1") in refused[0]["headers"]
    assert f"and {limit} at most" in json.loads(refused[1]["body"])["detail"]
    assert problem_of(timed_out) == "body-timeout"
    reason = {"reason": "overloaded"}
    value = service.metrics.registry.get_sample_value("shill_prediction_errors_total", reason)
    assert value == 1


@pytest.mark.parametrize(
    "parts",
    [
        [part(b" " * 90_000)],
        [part(b" " * 90_000, more=True), part(b"")],
        [part(b" " * 90_000, more=True)],
        [part(b" " * 90_000, more=True), part(b" " * 90_000)],
        [part(b" ", more=True), part(b" ")],
        [part(b" " * 90_000, more=True), {"type": "http.disconnect"}],
    ],
)
@pytest.mark.parametrize("path", ["/predict_batch", "/feedback", "/health"])
def test_no_byte_stays_on_the_account_of_those_in_flight(
    application: Application, path: str, parts: list[dict[str, Any]]
) -> None:
    run(ask(application, *parts, path=path))
    assert application._inflight_bytes == 0


def test_dry_runs_are_timed_apart(application: Application, service: Service) -> None:
    body = part(json.dumps(RECORD).encode())
    assert status_of(run(ask(application, body, query=b"dry_run=true"))) == 200
    assert requests_counted(service, route="dry_run", method="POST", status="200") == 1
    assert requests_counted(service, route="/predict", method="POST", status="200") == 0


def test_labels_of_requests_come_from_fixed_sets(
    application: Application, service: Service
) -> None:
    run(ask(application, part(b""), method="GET", path="/attack/1"))
    run(ask(application, part(b""), method="ATTACK", path="/health"))
    run(ask(application, part(b""), method="GET", path="/docs/index.css"))
    assert requests_counted(service, route="unknown", method="GET", status="404") == 1
    assert requests_counted(service, route="/health", method="other", status="405") == 1
    assert requests_counted(service, route="/docs/*", method="GET", status="200") == 1


def test_websockets_are_refused(application: Application) -> None:
    sent: Sent = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application({"type": "websocket"}, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close"}]


def test_the_lifespan_starts_and_stops_the_service(
    application: Application, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(service, "start", lambda: calls.append("start"))
    monkeypatch.setattr(service, "stop", lambda: calls.append("stop"))
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: dict[str, Any]) -> None:
        calls.append(message["type"])

    asyncio.run(application({"type": "lifespan"}, receive, send))
    assert calls == [
        "start",
        "lifespan.startup.complete",
        "stop",
        "lifespan.shutdown.complete",
    ]


NDJSON = (b"content-type", b"application/x-ndjson")


def lines_of(sent: Sent) -> list[Any]:
    assert status_of(sent) == 200
    assert (b"content-type", b"application/x-ndjson") in sent[0]["headers"]
    return [
        json.loads(line) for line in b"".join(m.get("body", b"") for m in sent[1:]).splitlines()
    ]


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_lines_are_answered_one_by_one_however_they_arrive(
    application: Application, service: Service, size: int
) -> None:
    ratios = [number / 300 for number in range(300)]
    records = [json.dumps(RECORD | {"winning_ratio": ratio}).encode() for ratio in ratios]
    records[3] = b"{"
    content = b"\n".join(records)
    content = content[: 30 * len(records[0])] if size == 1 else content
    parts = [part(content[at : at + size], more=True) for at in range(0, len(content), size)]
    sent = run(ask(application, *parts, part(b""), path="/predict_batch", headers=(NDJSON,)))
    answered = lines_of(sent)
    assert len(answered) == content.count(b"\n") + 1
    assert [place for place, line in enumerate(answered[:-1]) if "type" in line] == [3]
    assert answered[3]["type"] == "/docs/errors#malformed-json"
    logged = list(LogReader(service.settings.log_dir, LoggedPrediction))
    assert [line.prediction_id for line in logged] == [
        line["prediction_id"] for line in answered if "probability" in line
    ]
    assert application._inflight_bytes == 0


def test_lines_are_answered_while_more_arrive(application: Application) -> None:
    async def main() -> None:
        arrived: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {"type": "http", "method": "POST", "path": "/predict_batch", "query_string": b""}
        task = asyncio.create_task(
            application(scope | {"headers": [NDJSON]}, arrived.get, sent.put)
        )
        for _ in range(3):
            await arrived.put(part(json.dumps(RECORD).encode() + b"\n", more=True))
            message = await sent.get()
            if message["type"] == "http.response.start":
                message = await sent.get()
            assert b'"probability"' in message["body"]
        await arrived.put(part(b""))
        await task

    asyncio.run(main())


def test_a_stream_that_stops_is_ended_with_a_line_that_says_so(application: Application) -> None:
    record = part(json.dumps(RECORD).encode() + b"\n", more=True)
    *_, last = lines_of(run(ask(application, record, path="/predict_batch", headers=(NDJSON,))))
    assert last["type"] == "/docs/errors#body-timeout"


def test_a_line_without_end_is_refused(application: Application) -> None:
    parts = [part(b" " * 50_000, more=True), part(b" " * 50_000, more=True)]
    answered = lines_of(run(ask(application, *parts, path="/predict_batch", headers=(NDJSON,))))
    assert [line["type"] for line in answered] == ["/docs/errors#body-too-large"]


def test_lines_are_taken_for_batches_only(application: Application) -> None:
    sent = run(ask(application, part(json.dumps(RECORD).encode()), headers=(NDJSON,)))
    assert problem_of(sent) == "unsupported-media-type"


def test_a_dry_run_of_lines_is_not_logged(application: Application, service: Service) -> None:
    body = part(json.dumps(RECORD).encode() + b"\n{")
    options = {"path": "/predict_batch", "query": b"dry_run=true"}
    good, bad = lines_of(run(ask(application, body, headers=(NDJSON,), **options)))  # type: ignore[arg-type]
    assert ("probability" in good, bad["status"]) == (True, 400)
    assert list(LogReader(service.settings.log_dir, LoggedPrediction)) == []
    reason = {"reason": "malformed-json"}
    value = service.metrics.registry.get_sample_value("shill_prediction_errors_total", reason)
    assert value == 0


def test_the_server_is_asked_to_pause_a_client_that_should_come_back_later(
    application: Application,
) -> None:
    state: dict[str, Any] = {}
    body = part(json.dumps(RECORD).encode())
    assert status_of(run(ask(application, body, state=state))) == 200
    assert state == {}
    application._service.model = None
    assert problem_of(run(ask(application, body, state=state))) == "not-ready"
    assert state == {"pause": 1}


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_health_is_answered_as_flask_answers_it(application: Application, path: str) -> None:
    sent = run(ask(application, part(b""), method="GET", path=path))
    client = create_flask_app(application._service).test_client()
    answer = client.get(path)
    assert (status_of(sent), sent[1]["body"]) == (answer.status_code, answer.data)
