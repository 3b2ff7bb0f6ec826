"""A candidate is tried on real traffic, by a share of it or unseen, before it serves."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

from demo.lab import Lab, LabError
from drill.traffic import Traffic

LIMIT = 1024
"""Bytes that the new release takes; clients send more."""


def test_a_canary_that_refuses_requests_is_withdrawn_and_goes_no_further(
    host: Host, ask: Callable[..., tuple[int, str, Any]]
) -> None:
    release = ask("/ready")[2]["release"]
    options = {
        "model_server_settings": {"max_body_bytes": LIMIT},
        "model_server_canary_percent": 10,
        "model_server_canary_seconds": 120,
        "model_server_canary_requests": 20,
    }
    traffic = Traffic(Lab(), rate=50, bytes_=2 * LIMIT)
    with traffic.flowing(), pytest.raises(LabError) as failed:
        Lab().playbook("canary.yml", f"--extra-vars={json.dumps(options)}")

    said = " ".join(str(failed.value).split())
    assert "The candidate was withdrawn: 100.0% of the candidate's answers are no success" in said
    assert "what served before goes on serving" in said
    assert {one.failure[:3] for one in traffic.requests} == {"", "413"}
    assert host.file("/var/lib/shill-edge/canary").listdir() == []
    assert "candidate" not in host.check_output("docker ps --all --format '{{.Names}}'")
    assert ask("/ready")[2]["release"] == release
    assert "failed" in host.check_output("tail -n 1 /var/log/shill/deploy.log")


def test_a_shadow_scores_the_same_records_and_answers_nobody(
    host: Host, ask: Callable[..., tuple[int, str, Any]]
) -> None:
    release = ask("/ready")[2]["release"]
    options = {
        "model_server_settings": {"log_level": "warning"},
        "model_server_shadow_seconds": 10,
        "model_server_shadow_predictions": 20,
    }
    traffic = Traffic(Lab(), rate=20)
    with traffic.flowing():
        said = Lab().playbook("shadow.yml", f"--extra-vars={json.dumps(options)}")

    assert "other_verdicts: 0" in said
    pairs = [
        json.loads(line)
        for line in host.file("/var/log/shill/shadow.jsonl").content_string.splitlines()
    ]
    assert len(pairs) >= 20
    assert {pair["prediction_id"] for pair in pairs} <= {
        one.prediction_id for one in traffic.requests
    }
    assert all(
        pair["candidate_probability"] == pytest.approx(pair["probability"], abs=1e-6)
        for pair in pairs
    )
    assert all(one.prediction_id for one in traffic.requests)
    assert "candidate" not in host.check_output("docker ps --all --format '{{.Names}}'")
    assert ask("/ready")[2]["release"] == release
