"""The lab's host reboots: everything comes back by itself, and nothing that was there is lost."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from testinfra.host import Host

from demo.lab import Lab
from drill.events import reboot
from drill.traffic import RECORD
from grafana_provisioning.queries import Prometheus

Ask = Callable[..., tuple[int, str, Any]]
Eventually = Callable[[Callable[[], bool]], bool]
Health = Callable[[], dict[str, list[str]]]

INBOX = "/var/lib/lab-inbox/notifications.jsonl"


@dataclass(frozen=True)
class Before:
    """The host as it was right before the reboot."""

    time: float
    model: str
    predictions: list[str]
    notifications: str


def scraped(at: float) -> set[str]:
    """The jobs of which Prometheus has samples at a time."""
    query = {"expr": "up", "instant": True}
    return {series.labels["job"] for series in Prometheus(Lab().prometheus, at, 60).run(query)}


@pytest.fixture(scope="module")
def before(host: Host, ask: Ask) -> Before:
    """Reboot the host; returns how it was before."""
    found = Before(
        time.time(),
        ask("/ready")[2]["model_version"],
        [ask("/predict", {"auction_id": "732", **RECORD})[2]["prediction_id"] for _ in range(50)],
        host.check_output(f"cat {INBOX}"),
    )
    reboot(Lab())
    return found


def test_it_serves_the_same_model(before: Before, ask: Ask, eventually: Eventually) -> None:
    def ready() -> bool:
        try:
            return ask("/ready")[0] == 200
        except OSError:
            return False

    eventually(ready)
    assert ask("/ready")[2]["model_version"] == before.model


@pytest.mark.usefixtures("before")
def test_every_target_is_up_again(
    health: Health, up: dict[str, list[str]], eventually: Eventually
) -> None:
    def well() -> bool:
        try:
            return health() == up
        except OSError:
            return False

    eventually(well)


def test_every_acknowledged_prediction_is_in_the_log(before: Before, host: Host) -> None:
    log = host.check_output("cat /var/lib/shill/predictions/dt=*/*.jsonl")
    assert [id_ for id_ in before.predictions if log.count(f'"{id_}"') != 1] == []


def test_prometheus_and_the_inbox_have_what_they_had(
    before: Before, host: Host, up: dict[str, list[str]]
) -> None:
    assert scraped(before.time) == set(up)
    assert host.check_output(f"cat {INBOX}").startswith(before.notifications)
