"""Requests need a key that is in force, may ask for this, and does not ask too often."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from flask_app.keys.store import KEYS, KeyStore
from flask_app.serving import access
from flask_app.serving.access import LOCAL_KEY, Access, make_local_key
from flask_app.serving.asgi import Application
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.problems import Problem
from flask_app.serving.service import Service
from flask_app.serving.web import create_flask_app
from flask_app.settings import Settings
from tests.unit.serving.conftest import RECORD, OpenService
from tests.unit.serving.test_asgi import JSON, ask, part, problem_of, run, status_of

BODY = json.dumps(RECORD).encode()
Make = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


@pytest.fixture
def make(store: KeyStore) -> Make:
    """Makes a key."""

    def run(*scopes: Any, rate: float = 1000.0, lifetime: timedelta | None = None) -> str:
        made = {"scopes": scopes or ("predict",), "requests_per_second": rate}
        return store.create("partner", lifetime=lifetime, **made)[1]

    return run


@pytest.fixture
def guarded(settings: Settings, store: KeyStore) -> Settings:
    """Looks at the keys with every request."""
    return replace(settings, authentication="keys", key_store=store.directory, reload_seconds=0.0)


@pytest.fixture
def service(open_service: OpenService, guarded: Settings) -> Service:
    return open_service(guarded)


@pytest.fixture
def application(service: Service) -> Application:
    return Application(service, create_flask_app(service))


@pytest.fixture
def flask(service: Service) -> FlaskClient:
    return create_flask_app(service).test_client()


def bearer(key: str) -> tuple[bytes, bytes]:
    return (b"authorization", f"Bearer {key}".encode())


def counted(service: Service, key: str, outcome: str) -> float | None:
    assert service.access
    service.access.count()
    labels = {"key": key.split("_")[1], "outcome": outcome}
    return service.metrics.registry.get_sample_value("shill_key_requests_total", labels)


def test_a_request_with_a_key_is_answered_and_counted(
    application: Application, service: Service, make: Make
) -> None:
    key = make()
    assert status_of(run(ask(application, part(BODY), headers=(JSON, bearer(key))))) == 200
    assert counted(service, key, "allowed") == 1


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Bearer other_abcdefgh_x",
        "Bearer shill_abcdefgh_x",
        "Bearer shill_localkey_",
        "Bearer \xff",
    ],
)
def test_a_request_without_a_key_is_refused_before_its_body_is_looked_at(
    application: Application, service: Service, make: Make, header: str
) -> None:
    make()
    headers = (JSON, (b"authorization", header.encode("latin-1")), (b"content-length", b"1"))
    sent = run(ask(application, part(b"{"), headers=headers))
    assert problem_of(sent) == "unauthenticated"
    assert (b"WWW-Authenticate".lower(), b"Bearer") in [
        (name.lower(), value) for name, value in sent[0]["headers"]
    ]
    assert (b"connection", b"close") not in sent[0]["headers"]
    assert not service.settings.log_dir.exists() or not [*service.settings.log_dir.glob("dt=*/*")]


def test_a_large_body_without_a_key_is_not_read(application: Application) -> None:
    headers = (JSON, (b"content-length", b"90000"))
    sent = run(ask(application, {"type": "http.disconnect"}, headers=headers))
    assert problem_of(sent) == "unauthenticated"
    assert (b"connection", b"close") in sent[0]["headers"]


def test_the_scheme_is_written_in_any_case(application: Application, make: Make) -> None:
    header = (b"authorization", f"bearer  {make()} ".encode())
    assert status_of(run(ask(application, part(BODY), headers=(JSON, header)))) == 200


def test_a_key_with_another_secret_is_refused(application: Application, make: Make) -> None:
    key = make()
    sent = run(ask(application, part(BODY), headers=(JSON, bearer(key[:-1] + "~"))))
    assert problem_of(sent) == "unauthenticated"


@pytest.mark.parametrize(
    ("path", "scopes", "status"),
    [
        ("/predict", ["predict"], 200),
        ("/predict", ["feedback"], 403),
        ("/predict", ["admin"], 200),
        ("/feedback", ["predict"], 403),
        ("/feedback", ["feedback"], 422),
        ("/model", ["predict"], 200),
        ("/model", ["feedback"], 403),
    ],
)
def test_a_key_may_ask_for_what_its_scopes_say(
    application: Application,
    service: Service,
    make: Make,
    path: str,
    scopes: list[str],
    status: int,
) -> None:
    key = make(*scopes)
    method = "GET" if path == "/model" else "POST"
    sending = ask(application, part(BODY), path=path, method=method, headers=(JSON, bearer(key)))
    assert status_of(run(sending)) == status
    assert counted(service, key, "forbidden") == (status == 403)


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/docs", "/openapi.json"])
def test_what_tells_of_the_service_itself_needs_no_key(flask: FlaskClient, path: str) -> None:
    assert flask.get(path).status_code == 200


def test_flask_by_itself_asks_for_a_key_too(flask: FlaskClient, make: Make) -> None:
    for path in ("/predict", "/predict_batch", "/score_auction", "/feedback"):
        assert flask.post(path, json={}).status_code == 401
    assert flask.get("/model").status_code == 401
    headers = {"Authorization": f"Bearer {make()}"}
    assert flask.post("/predict", json=RECORD, headers=headers).status_code == 200


def test_a_key_that_is_revoked_while_it_is_used_is_refused_from_then_on(
    application: Application, store: KeyStore, make: Make
) -> None:
    key = make()
    headers = (JSON, bearer(key))
    assert status_of(run(ask(application, part(BODY), headers=headers))) == 200
    store.revoke(key.split("_")[1])
    sent = run(ask(application, part(BODY), headers=headers))
    assert "was revoked at 20" in json.loads(sent[1]["body"])["detail"]


def test_a_new_key_is_good_at_once_however_seldom_keys_are_looked_at(
    open_service: OpenService, guarded: Settings, make: Make
) -> None:
    service = open_service(replace(guarded, reload_seconds=3600.0))
    time.sleep(0.1)
    headers = (JSON, bearer(make()))
    application = Application(service, create_flask_app(service))
    assert status_of(run(ask(application, part(BODY), headers=headers))) == 200


def test_an_expired_key_is_refused_and_says_since_when(
    application: Application, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = (JSON, bearer(make(lifetime=timedelta(days=1))))
    assert status_of(run(ask(application, part(BODY), headers=headers))) == 200
    later = (datetime.now(UTC) + timedelta(days=2)).timestamp()
    monkeypatch.setattr(access.time, "time", lambda: later)
    sent = run(ask(application, part(BODY), headers=headers))
    assert "expired at 20" in json.loads(sent[1]["body"])["detail"]


def test_a_key_that_asks_too_often_is_told_when_to_ask_again(
    application: Application, service: Service, make: Make
) -> None:
    key = make(rate=0.1)
    headers = (JSON, bearer(key))
    assert status_of(run(ask(application, part(BODY), headers=headers))) == 200
    sent = run(ask(application, part(BODY), headers=headers))
    assert problem_of(sent) == "rate-limited"
    assert (b"Retry-After", b"10") in sent[0]["headers"]
    assert counted(service, key, "limited") == 1


def test_keys_that_cannot_be_read_leave_those_that_were_and_it_is_told(
    service: Service, application: Application, store: KeyStore, make: Make
) -> None:
    headers = (JSON, bearer(make()))
    assert status_of(run(ask(application, part(BODY), headers=headers))) == 200
    good = (store.directory / KEYS).rename(store.directory / "aside")
    (store.directory / KEYS).write_text("{")
    assert status_of(run(ask(application, part(BODY), headers=headers))) == 200
    assert service.metrics.registry.get_sample_value("shill_keys_unreadable") == 1
    assert service.readiness().status == 200
    good.rename(store.directory / KEYS)
    assert service.readiness().status == 200
    assert service.metrics.registry.get_sample_value("shill_keys_unreadable") == 0


def test_a_server_that_never_could_read_its_keys_is_not_ready(
    guarded: Settings, store: KeyStore, open_service: OpenService
) -> None:
    store.directory.mkdir()
    (store.directory / KEYS).write_text("{")
    service = open_service(guarded)
    with pytest.raises(Problem, match=r"the keys: .*keys\.json cannot be used"):
        service.readiness()
    store.directory.joinpath(KEYS).unlink()
    assert service.readiness().status == 200


def test_when_keys_expire_is_a_metric_until_they_are_revoked(
    service: Service, store: KeyStore, make: Make
) -> None:
    key_id = make(lifetime=timedelta(days=30)).split("_")[1]
    assert service.access
    service.access.look()
    labels = {"key": key_id, "name": "partner"}
    (key,) = store.keys()
    assert key.expires_at
    found = service.metrics.registry.get_sample_value
    assert found("shill_key_expiry_timestamp_seconds", labels) == key.expires_at.timestamp()
    store.revoke(key_id)
    service.access.look()
    assert found("shill_key_expiry_timestamp_seconds", labels) is None


def test_whether_keys_are_needed_is_told(
    service: Service, open_service: OpenService, settings: Settings
) -> None:
    for one, state in ((service, "keys"), (open_service(settings), "off")):
        assert json.loads(one.readiness().body)["authentication"] == state
        enabled = one.metrics.registry.get_sample_value("shill_authentication_enabled")
        assert enabled == (state == "keys")


def test_the_key_of_a_server_predicts_and_nothing_else(
    guarded: Settings, tmp_path: Path, make: Make
) -> None:
    make()
    metrics = ServiceMetrics()
    metrics.directory = tmp_path
    make_local_key(tmp_path)
    checked = Access(guarded, metrics)
    _, header = bearer((tmp_path / LOCAL_KEY).read_text())
    checked.admit(header, "predict")
    make_local_key(tmp_path)
    _, other = bearer((tmp_path / LOCAL_KEY).read_text())
    for refused, scope in ((header, "feedback"), (header, "admin"), (other, "predict")):
        with pytest.raises(Problem):
            checked.admit(refused, scope)  # type: ignore[arg-type]
