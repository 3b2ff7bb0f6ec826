"""Plays the day on the lab, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from demo.day import STEP_HOURS, hours, name, site
from demo.lab import Lab
from demo.retraining import Registry, Retrained
from demo.reviewers import knows, review
from flask_app.drift.summary import Summary

ALERT = "DataDrift"


@dataclass(frozen=True)
class Step:
    """What some hours of the day brought, once the alerts had been judged.

    Attributes:
        until: The hour at which they end.
        habit: How shills behaved.
        decisions: What reviewers decided in these hours, on predictions made before.
        retrained: The model that was trained and deployed as they began, if there was one.
        flagged: Whether each bidder was called a shill.
        summary: Of the drift job's run at the end.
        alerts: What was firing then.
    """

    until: int
    habit: str
    decisions: int
    retrained: Retrained | None
    flagged: list[bool]
    summary: Summary
    alerts: tuple[str, ...]


def play(lab: Lab, seed: int | None = None) -> Iterator[Step]:
    """Play a day, by default one that this lab has not seen.

    Reviewers decide on the predictions of the hours before. Once the alert fires, a new model
    learns from what they decided since the first window that had drifted.
    """
    if seed is None:
        seed = next(number for number in count(1) if not knows(lab.desk, name(number)))
    registry = Registry(lab)
    registry.begin()
    with lab.without_cron():
        yield from _steps(lab, registry, seed)


def _steps(lab: Lab, registry: Registry, seed: int) -> Iterator[Step]:
    day = list(hours(seed))
    lab.show_site(site(day))
    truth: dict[str, bool] = {}
    last_auction = ""
    steps: list[Step] = []
    for now in day:
        questions = now.questions()
        decisions = review(lab.desk, truth, last_auction) if steps else 0
        retrained = None
        if steps and ALERT in steps[-1].alerts and not any(step.retrained for step in steps):
            drifted = next(step.summary.start for step in steps if step.summary.alarm)
            assert drifted is not None  # noqa: S101 - a window that has drifted has rows
            retrained = registry.retrain(drifted, questions)
        predictions = lab.predict(questions)
        identifiers = (prediction.prediction_id for prediction in predictions)
        truth = dict(zip(identifiers, now.truth(), strict=True))
        last_auction = str(questions[-1]["auction_id"])
        step = Step(
            until=now.begin + STEP_HOURS,
            habit=now.habit,
            decisions=decisions,
            retrained=retrained,
            flagged=[prediction.is_shill_bid for prediction in predictions],
            summary=lab.run_drift_job(),
            alerts=lab.alerts(),
        )
        steps.append(step)
        yield step
