"""The service as its operators meet it: settings, readiness, metrics, stopping, a full disk."""

import json
import os
import resource
import signal
import socket
import subprocess
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from flask_app.cli import main
from flask_app.log.segment import is_open, list_segments
from tests.integration.conftest import Figure, Serve
from tests.integration.server import (
    RECORD,
    Answer,
    Server,
    exchange,
    load,
    problem,
    raw_request,
    running,
    wait_until,
)


def test_readiness_tells_the_model_the_log_and_the_release(serve: Serve) -> None:
    server = serve(release="blue")
    promoted = server.store.production()
    assert promoted is not None
    assert server.get("/ready").json == {
        "status": "ready",
        "model_version": promoted.version,
        "prediction_log": "writing",
        "release": "blue",
        "profiles": None,
        "authentication": "off",
    }


def test_metrics_of_two_workers_add_up_exactly(serve: Serve) -> None:
    server = serve(workers=2)
    for number in range(60):
        server.post("/predict", RECORD | {"winning_ratio": number / 60})
    for _ in range(10):
        server.post("/predict_batch", [RECORD] * 7)
    for _ in range(5):
        server.post("/predict", RECORD | {"bidding_ratio": 1.7})
    assert server.metric("shill_predictions_total") == 130
    assert server.metric("shill_prediction_probability_count") == 130
    assert server.metric("shill_prediction_probability_bucket", le="+Inf") == 130
    assert server.metric("shill_inference_duration_seconds_count") == 70
    assert server.metric("shill_prediction_errors_total", reason="out-of-range") == 5
    answered = {"route": "/predict", "method": "POST", "status": "200"}
    assert server.metric("shill_http_request_duration_seconds_count", **answered) == 60
    lines, _ = server.logged()
    probabilities = sum(line.probability for line in lines)
    assert server.metric("shill_prediction_probability_sum") == pytest.approx(probabilities)
    segments = list_segments(server.log_dir)
    assert len(segments) == 2, "both workers were to take part"


def test_a_slow_body_is_given_up(serve: Serve) -> None:
    server = serve(request_timeout_seconds=0.3)
    answer = exchange(server, raw_request(b"{", "Content-Length: 100"))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"/docs/errors#body-timeout" in answer
    assert server.metric("shill_prediction_errors_total", reason="body-timeout") == 1


def test_the_smoke_test_leaves_neither_predictions_nor_counts(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    monkeypatch.setenv("SHILL_MODEL_STORE", str(server.store.path))
    assert main(["smoke", server.url]) == 0
    assert server.logged() == ([], 0)
    assert server.metric("shill_predictions_total") == 0
    assert server.metric("shill_prediction_errors_total") == 0


@pytest.mark.parametrize("sent", [b"", b"POST /predict HTTP/1.1\r\nHost: te"])
def test_a_connection_without_a_request_is_closed(serve: Serve, sent: bytes) -> None:
    server = serve(request_timeout_seconds=0.3)
    assert exchange(server, sent) == b""


def test_a_head_that_never_ends_is_given_up(serve: Serve) -> None:
    server = serve(request_timeout_seconds=0.3)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.setblocking(False)
        connection.sendall(b"POST /predict HTTP/1.1\r\n")
        wait_until(lambda: is_closed_after(connection, b"a"))  # each byte in time, the whole never


def is_closed_after(connection: socket.socket, sent: bytes) -> bool:
    try:
        connection.sendall(sent)
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_head_that_is_too_large_is_refused(serve: Serve) -> None:
    head = b"POST /predict HTTP/1.1\r\n"
    server = serve()
    for too_large in (head + b"X: " + b"a" * 100_000, head + b"X: y\r\n" * 101 + b"\r\n"):
        answer = exchange(server, too_large)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"100 header fields and 65536 bytes in all at most" in answer


def test_head_requests_are_answered(serve: Serve) -> None:
    answer = exchange(serve(), b"HEAD /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")


def test_a_request_on_its_way_to_a_server_that_stops_is_answered(serve: Serve) -> None:
    server = serve(workers=1)
    client = server.client()
    assert client.request("GET", "/health").status == 200
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "Shutting down" in server.text())
    answer = client.request("POST", "/predict", RECORD)
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert server.stop() == 0
    assert len(server.logged()[0]) == 1


def test_more_than_can_be_answered_in_time_is_refused_and_the_rest_answered(serve: Serve) -> None:
    server = serve(workers=1, max_wait_seconds=0.02)
    body = json.dumps(RECORD).encode()
    request = raw_request(body, f"Content-Length: {len(body)}")
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            for _ in range(900)
        ]
        for client in clients:  # when this is answered, the connection is one of the worker's
            client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        (worker,) = server.pids()
        os.kill(worker, signal.SIGSTOP)  # so that all requests arrive at once
        for client in clients:
            client.sendall(request)
        os.kill(worker, signal.SIGCONT)
        answers = [client.recv(65536) for client in clients]
    statuses = Counter(answer[9:12] for answer in answers)
    assert statuses.keys() == {b"200", b"503"}
    assert all(b"retry-after: 1\r\n" in answer for answer in answers if answer[9:12] == b"503")
    assert server.metric("shill_prediction_errors_total", reason="overloaded") == statuses[b"503"]
    assert len(server.logged()[0]) == statuses[b"200"]
    assert server.post("/predict", RECORD).status == 200


def test_bodies_made_to_fill_the_memory_do_not(serve: Serve, record_property: Figure) -> None:
    server = serve(workers=1)
    content = b'{"labels":[' + b"{}," * ((8 * 2**20 - 20) // 3) + b"{}]}"
    (worker,) = server.pids()
    before = peak_bytes(worker)
    answers: list[Answer] = []
    for path in ("/feedback", "/predict_batch"):
        threads = [
            threading.Thread(target=lambda path=path: answers.append(server.post(path, content)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    grown = peak_bytes(worker) - before
    record_property("MiB that eight bodies of 8 MiB, four at once, added", round(grown / 2**20))
    assert {(answer.status, problem(answer)) for answer in answers} <= {
        (422, "too-many-values"),
        (503, "overloaded"),
    }
    assert grown < 200 * 2**20, "two workers and their models must fit into 512 MiB"


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has had resident so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_the_service_log_is_one_json_object_a_line(serve: Serve) -> None:
    server = serve()
    server.post("/predict", RECORD)
    assert server.stop() == 0
    entries = server.entries()
    assert all({"at", "level", "logger", "process", "message"} == set(entry) for entry in entries)
    assert {entry["level"] for entry in entries} == {"info"}


def test_a_service_without_a_model_lives_but_is_not_ready(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.get("/health").status == 200
        for answer in (server.get("/ready"), server.get("/model"), server.post("/predict", RECORD)):
            assert (answer.status, problem(answer)) == (503, "not-ready")
            assert "no version has been promoted" in answer.json["detail"]


def test_a_service_whose_log_cannot_be_written_predicts_but_is_not_ready(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "occupied").write_text("a file where a directory should be")
    server = serve(log_dir=tmp_path / "occupied")
    prediction = server.post("/predict", RECORD)
    assert prediction.status == 200
    assert server.metric("shill_prediction_log_dropped_total") == 1
    answer = server.get("/ready")
    assert (answer.status, problem(answer)) == (503, "not-ready")
    label = {"prediction_id": prediction.json["prediction_id"], "is_shill": True}
    answer = server.post("/feedback", {"labels": [label]})
    assert (answer.status, problem(answer)) == (503, "log-unavailable")


def test_when_the_disk_is_full_predictions_go_on_and_what_is_not_logged_is_counted(
    serve: Serve,
) -> None:
    server = serve(workers=1)
    # Enough for the segment to be the largest file: the limit is for all that the worker writes.
    server.post("/predict_batch", [RECORD] * 50)
    (segment,) = list_segments(server.log_dir)
    (worker,) = server.pids()
    unlimited = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    # From here on the kernel takes a part of the next line and no more, as a full disk does.
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (segment.stat().st_size + 100, unlimited[1]))
    for _ in range(20):
        assert server.post("/predict", RECORD).status == 200
    assert server.post("/predict_batch", [RECORD] * 5).status == 200
    assert server.metric("shill_prediction_log_dropped_total") == 25
    ready = server.get("/ready")
    assert (ready.status, ready.json["prediction_log"]) == (200, "dropping")
    resource.prlimit(worker, resource.RLIMIT_FSIZE, unlimited)
    assert server.post("/predict", RECORD).status == 200
    assert server.get("/ready").json["prediction_log"] == "writing"
    lines, torn = server.logged()
    assert (len(lines), torn) == (51, 0)
    told = [entry["message"] for entry in server.entries() if "log " in entry["message"]]
    assert len(told) == 2, "once when it begins, once when it ends"


def test_a_graceful_stop_under_load_loses_nothing(serve: Serve) -> None:
    server = serve()
    with load(server, threads=4) as traffic:
        wait_until(lambda: len(traffic.acknowledged) > 500)
        assert server.stop() == 0
    assert traffic.refused == []
    lines, torn = server.logged()
    logged = [line.prediction_id for line in lines]
    assert torn == 0
    assert len(set(logged)) == len(logged)
    assert set(traffic.acknowledged) == set(logged)
    segments = list_segments(server.log_dir)
    assert not any(map(is_open, segments))


def test_two_services_can_share_a_port_while_one_takes_over(
    serve: Serve, tmp_path: Path, record_property: Figure
) -> None:
    old = serve(release="old")
    with (
        running(tmp_path / "new", port=old.port, model_store=old.store.path, release="new") as new,
        load(old, threads=4) as traffic,
    ):
        wait_until(lambda: len(traffic.acknowledged) > 500)
        assert old.stop() == 0
        enough = len(traffic.acknowledged) + 500
        wait_until(lambda: len(traffic.acknowledged) > enough)
        assert new.get("/ready").json["release"] == "new"
    record_property(
        "takeover", f"{len(traffic.acknowledged)} predictions, {traffic.lost} connections lost"
    )
    assert traffic.refused == []
    lines = old.logged()[0] + new.logged()[0]
    assert set(traffic.acknowledged) <= {line.prediction_id for line in lines}


def test_a_second_service_does_not_empty_the_metrics_of_the_first(serve: Serve) -> None:
    first = serve()
    done = subprocess.run(
        first.command, env=first.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "SHILL_METRICS_DIR" in done.stderr
    assert first.get("/ready").status == 200


def test_nothing_is_written_through_a_planted_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/.lock").symlink_to(target)
    server = Server(tmp_path)
    done = subprocess.run(
        server.command, env=server.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "SHILL_METRICS_DIR" in done.stderr
    assert "Traceback" not in done.stderr
    assert target.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_metrics_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    os.chown(tmp_path / "metrics", 12345, 12345)
    server = Server(tmp_path)
    done = subprocess.run(
        server.command, env=server.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "another user's: remove it" in done.stderr


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"workers": "many"}, "SHILL_WORKERS='many' is not of type int"),
        ({"log_level": "loud"}, "SHILL_LOG_LEVEL='loud'"),
    ],
)
def test_a_bad_setting_is_told_before_anything_starts(
    tmp_path: Path, setting: dict[str, str], message: str
) -> None:
    server = Server(tmp_path, **setting)
    done = subprocess.run(
        server.command, env=server.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
