"""Keys on running workers: made, used, limited and revoked without a restart."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flask_app.keys.store import KeyStore, Scope
from flask_app.serving.access import LOCAL_KEY
from tests.integration.conftest import Bundles
from tests.integration.server import (
    JSON,
    RECORD,
    Answer,
    Server,
    problem,
    running,
    wait_until,
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    return KeyStore(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, bundles: Bundles, keys: KeyStore
) -> Iterator[Server]:
    """A service with two workers that asks for keys."""
    settings = {"authentication": "keys", "key_store": keys.directory}
    with running(tmp_path_factory.mktemp("server"), bundles, **settings) as server:
        yield server


def make(keys: KeyStore, *scopes: Scope, rate: float = 1e6) -> str:
    _, key = keys.create(
        "test", scopes=scopes or ("predict",), requests_per_second=rate, lifetime=None
    )
    return key


def predict(server: Server, key: str) -> Answer:
    """Ask on a connection of its own, so that any worker may get it."""
    headers = JSON | {"Authorization": f"Bearer {key}"}
    return server.request("POST", "/predict", RECORD, headers=headers)


def statuses(server: Server, key: str) -> set[int]:
    """What both workers answer: so many are asked that none is missed in a lifetime of runs."""
    return {predict(server, key).status for _ in range(40)}


def counted(server: Server, key: str, outcome: str) -> float:
    labels = {"key": key.split("_")[1], "outcome": outcome}
    return server.metric("shill_key_requests_total", **labels)


def test_a_key_is_taken_up_by_every_worker_and_so_is_its_end(
    guarded: Server, keys: KeyStore
) -> None:
    assert problem(guarded.post("/predict", RECORD)) == "unauthenticated"
    key = make(keys)
    assert wait_until(lambda: statuses(guarded, key) == {200})
    keys.revoke(key.split("_")[1])
    assert wait_until(lambda: statuses(guarded, key) == {401})


def test_workers_share_what_a_key_may_send(guarded: Server, keys: KeyStore) -> None:
    rate, key = 20.0, make(keys, rate=20.0)
    wait_until(lambda: 401 not in statuses(guarded, key))
    before = counted(guarded, key, "limited")
    began = time.monotonic()
    answers = [predict(guarded, key) for _ in range(100)]
    elapsed = time.monotonic() - began
    passed = [answer for answer in answers if answer.status == 200]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(passed) + len(refused) == 100
    assert len(passed) <= rate * (elapsed + 1) + 1
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
    assert counted(guarded, key, "limited") == before + len(refused)
    # Those that passed are counted a moment later, and those from before with them.
    assert wait_until(lambda: counted(guarded, key, "allowed") >= len(passed) > 0)


def test_a_refused_request_leaves_its_connection_to_the_next(
    guarded: Server, keys: KeyStore
) -> None:
    key = make(keys)
    assert wait_until(lambda: statuses(guarded, key) == {200})
    client = guarded.client()
    answer = client.request("POST", "/predict", RECORD)
    assert (answer.status, answer.headers["Connection"]) == (401, None)
    headers = JSON | {"Authorization": f"Bearer {key}"}
    assert client.request("POST", "/predict", RECORD, headers).status == 200
    client.close()


def test_a_worker_that_takes_another_s_place_knows_the_keys(
    guarded: Server, keys: KeyStore
) -> None:
    key = make(keys)
    assert wait_until(lambda: statuses(guarded, key) == {200})
    for pid in guarded.pids():
        os.kill(pid, 9)
    assert wait_until(guarded.is_ready)
    assert statuses(guarded, key) == {200}


def test_the_server_makes_a_key_for_itself_that_predicts(guarded: Server) -> None:
    file = Path(guarded.environment["SHILL_METRICS_DIR"]) / LOCAL_KEY
    assert file.stat().st_mode & 0o777 == 0o600
    key = file.read_text()
    assert statuses(guarded, key) == {200}
    headers = JSON | {"Authorization": f"Bearer {key}"}
    answer = guarded.request("POST", "/feedback", {"labels": []}, headers=headers)
    assert problem(answer) == "forbidden"


def test_no_key_is_ever_in_the_log(guarded: Server, keys: KeyStore) -> None:
    key = make(keys)
    assert wait_until(lambda: statuses(guarded, key) == {200})
    secret = key.split("_", 2)[2]
    assert secret not in guarded.text()
    assert not [file for file in guarded.log_dir.rglob("*.jsonl") if secret in file.read_text()]
