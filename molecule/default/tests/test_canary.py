"""A release that refuses what clients send is withdrawn, though it passes the gate."""

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
