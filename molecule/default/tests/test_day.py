"""A day on the whole host: traffic, drift job, Prometheus, Alertmanager, and whom it tells."""

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

import pytest
from testinfra.host import Host

from demo.day import hours
from demo.lab import Lab
from demo.play import Step, play
from grafana_provisioning.check import empty
from grafana_provisioning.queries import Prometheus

INBOX = "/var/lib/lab-inbox/notifications.jsonl"
PATIENCE_SECONDS = 90
"""Three times the interval at which the lab's Alertmanager tells of a group."""


@pytest.fixture(scope="module")
def day() -> list[Step]:
    """The day of `make demo`, played."""
    return list(play(Lab(), seed=1))


@pytest.fixture(scope="module")
def notified(day: list[Step], host: Host) -> list[dict[str, Any]]:
    """What the webhook receives of drift alerts by the end of the day.

    Alertmanager tells of what has changed in a group after its interval, so the last may come when
    the day is over.
    """
    del day
    notifications: list[dict[str, Any]] = []
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        lines = host.check_output(f"cat {INBOX}").splitlines()
        told = [json.loads(line) for line in lines]
        notifications = [n for n in told if n["commonLabels"].get("alertname") == "DataDrift"]
        if notifications and notifications[-1]["status"] == "resolved":
            break
        time.sleep(1)
    return notifications


def steps(day: list[Step], habit: str) -> Iterator[Step]:
    return (step for step in day if step.habit == habit)


def test_a_day_as_trained_disturbs_nobody(day: list[Step]) -> None:
    before = day[: [step.habit for step in day].index("new habit")]
    assert before
    # Predictions are slow on a busy machine, and the alert that says so is right to fire.
    others = [set(step.alerts) - {"LatencyBudgetBurn"} for step in before]
    assert others == [set()] * len(before)


def test_the_second_run_after_the_onset_raises_the_alert(day: list[Step]) -> None:
    first, second, *_ = steps(day, "new habit")
    assert first.summary.alarm
    assert "DataDrift" not in first.alerts
    assert "DataDrift" in second.alerts


def test_what_shills_do_otherwise_is_what_has_drifted(day: list[Step]) -> None:
    before_the_new_model = takewhile(lambda step: not step.retrained, steps(day, "new habit"))
    for step in before_the_new_model:
        assert step.summary.drift is not None
        assert "successive_outbidding" in step.summary.drift.drifted


def test_a_new_model_is_trained_once_because_it_is_better(day: list[Step]) -> None:
    (retrained,) = (step.retrained for step in day if step.retrained)
    assert retrained.version.startswith("labelled-")
    assert re.search(r": \+0\.\d+, 95% interval \+0\.", retrained.comparison)


def test_it_takes_over_without_a_lost_request(day: list[Step]) -> None:
    (traffic,) = (step.retrained.traffic for step in day if step.retrained)
    assert traffic.requests > 0
    assert traffic.lost == 0


def test_the_alert_clears_though_the_habit_stays(day: list[Step]) -> None:
    assert day[-1].habit == "new habit"
    assert "DataDrift" not in day[-1].alerts


def test_the_webhook_is_told_of_the_beginning_and_of_the_end(
    notified: list[dict[str, Any]],
) -> None:
    assert [n["status"] for n in notified] == ["firing", "resolved"]


def test_labels_show_that_predictions_get_worse_and_that_the_new_model_mends_it(
    day: list[Step],
) -> None:
    labelled = [step.summary.labelled.f1 for step in day if step.summary.labelled.f1 is not None]
    assert min(labelled) < 0.6
    assert labelled[-1] > 0.9


@pytest.mark.usefixtures("day")
def test_the_desk_draws_the_bids_of_the_day(
    eventually: Callable[[Callable[[], bool]], bool],
) -> None:
    auction = f"{Lab().desk}/auctions/{next(hours(seed=1)).auctions['auction_id'].iloc[0]}"

    def draws() -> bool:
        with urllib.request.urlopen(auction, timeout=10) as page:  # noqa: S310
            return b"<circle" in page.read()

    eventually(draws)


@pytest.mark.usefixtures("day")
def test_every_panel_of_every_dashboard_finds_what_it_must() -> None:
    assert list(empty(Prometheus(Lab().prometheus, time.time(), 600))) == []


@pytest.mark.usefixtures("day")
def test_every_target_is_up(
    health: Callable[[], dict[str, list[str]]], up: dict[str, list[str]]
) -> None:
    assert health() == up
