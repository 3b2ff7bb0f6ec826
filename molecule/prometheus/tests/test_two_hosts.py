"""Two hosts that scrape each other. Runs last: both then listen at all their addresses."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCENARIO = Path(__file__).parents[1]
HOSTS = ("bookworm", "trixie")
JOBS = ("alertmanager", "node", "prometheus")


@pytest.fixture(scope="module")
def watching() -> None:
    """Provision both, with the options that two hosts have in an inventory."""
    options = {
        "prometheus_monitoring_hosts": HOSTS,
        "prometheus_scrape_address": "{{ ansible_facts.default_ipv4.address }}",
        "prometheus_scrape_docker": False,
        "prometheus_bind": "0.0.0.0:9090",
        "prometheus_alertmanager_bind": "0.0.0.0:9093",
        "node_exporter_bind": "0.0.0.0:9100",
    }
    done = subprocess.run(
        [
            *("ansible-playbook", SCENARIO / "converge.yml"),
            f"--inventory={SCENARIO.parent / 'shared/inventory'}",
            f"--extra-vars={json.dumps(options)}",
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"ANSIBLE_FORCE_COLOR": "false"},
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("watching")
def test_each_scrapes_the_other(
    api: Callable[[str], Any], eventually: Callable[[Callable[[], bool]], None]
) -> None:
    def up() -> set[tuple[str, str]]:
        targets = api("targets?state=active")["activeTargets"]
        return {
            (target["labels"]["instance"], target["labels"]["job"])
            for target in targets
            if target["health"] == "up"
        }

    eventually(lambda: up() >= {(host, job) for host in HOSTS for job in JOBS})
