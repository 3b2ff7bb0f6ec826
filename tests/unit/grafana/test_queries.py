"""Queries are asked as Grafana would ask them, and what finds nothing is named."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest

from grafana_provisioning.check import MAY_BE_EMPTY, empty, main
from grafana_provisioning.queries import Prometheus, QueryError, dashboards, panels


class Answers(BaseHTTPRequestHandler):
    """Answers every query with the same, and keeps what was asked."""

    asked: list[tuple[str, dict[str, str]]]
    status: int
    result: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append((self.path, {name: one for name, (one,) in parse_qs(body).items()}))
        self.send_response(self.status)
        self.end_headers()
        document = {"data": {"result": self.result}, "error": "bad expression"}
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answers() -> type[Answers]:
    return type("Own", (Answers,), {"asked": [], "status": 200, "result": []})


@pytest.fixture
def url(answers: type[Answers]) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_variables_are_filled_in() -> None:
    day = Prometheus("", end=0, seconds=86400)
    text = 'rate(x{a=~"$instance", b=~"$model_version"}[$__rate_interval]) + y[$__range]'
    assert day.fill(text) == 'rate(x{a=~".+", b=~".+"}[375s]) + y[86400s]'


def test_a_rate_spans_four_scrapes_however_short_the_range() -> None:
    assert Prometheus("", end=0, seconds=600).fill("[$__rate_interval]") == "[60s]"


def test_the_present_and_a_range_are_asked_for(answers: type[Answers], url: str) -> None:
    prometheus = Prometheus(url, end=10_000, seconds=3600)
    answers.result = [{"metric": {"a": "b"}, "value": [10_000, "NaN"]}]
    (series,) = prometheus.run({"expr": "x", "instant": True})
    assert series.labels == {"a": "b"}
    assert series.last != series.last
    answers.result = [{"metric": {}, "values": [[9_985, "2"], [10_000, "NaN"]]}]
    (series,) = prometheus.run({"expr": "x"})
    assert series.last == 2
    (now, instant), (over, ranged) = answers.asked
    assert (now, instant["time"]) == ("/api/v1/query", "10000")
    assert over == "/api/v1/query_range"
    assert (ranged["start"], ranged["end"], ranged["step"]) == ("6400", "10000", "15.0")


def test_a_refused_query_says_why(answers: type[Answers], url: str) -> None:
    answers.status = 400
    with pytest.raises(QueryError, match="bad expression: x"):
        Prometheus(url, end=0, seconds=60).run({"expr": "x{"})


def test_a_prometheus_that_is_not_there_is_named() -> None:
    with pytest.raises(QueryError, match=r"http://127.0.0.1:1/.* does not answer"):
        Prometheus("http://127.0.0.1:1/", end=0, seconds=60).run({"expr": "x"})


QUERIES = [target for one in dashboards() for p in panels(one) for target in p["targets"]]


@pytest.mark.parametrize(
    ("options", "named"),
    [([], len(QUERIES) - len(MAY_BE_EMPTY)), (["--strict"], len(QUERIES))],
)
def test_every_query_that_finds_nothing_is_named(
    options: list[str],
    named: int,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["check", "--prometheus", url, *options])
    assert main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == named
    assert any(line.startswith("shill-model: Verdict (A): finds nothing") for line in lines)


def test_nothing_is_named_where_all_find_something(answers: type[Answers], url: str) -> None:
    answers.result = [{"metric": {}, "value": [0, "1"], "values": [[0, "1"]]}]
    assert list(empty(Prometheus(url, end=0, seconds=60))) == []
