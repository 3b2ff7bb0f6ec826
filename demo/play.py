"""Plays the day on the lab, step by step."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from demo.day import STEP_HOURS, hours
from demo.lab import Lab
from flask_app.drift.summary import Summary

STEPS_UNTIL_LABELLED = 2


@dataclass(frozen=True)
class Step:
    """What three hours of the day brought, once the alerts had been judged."""

    until: int
    habit: str
    flagged: list[bool]
    summary: Summary
    alerts: tuple[str, ...]


def play(lab: Lab, seed: int = 1) -> Iterator[Step]:
    """Play the day; labels arrive `STEPS_UNTIL_LABELLED` steps after the predictions."""
    with lab.without_cron():
        yield from _steps(lab, seed)


def _steps(lab: Lab, seed: int) -> Iterator[Step]:
    unlabelled: deque[dict[str, bool]] = deque()
    for now in hours(seed):
        predictions = lab.predict(now.records())
        identifiers = (prediction.prediction_id for prediction in predictions)
        unlabelled.append(dict(zip(identifiers, now.labels(), strict=True)))
        if len(unlabelled) > STEPS_UNTIL_LABELLED:
            lab.label(unlabelled.popleft())
        yield Step(
            until=now.begin + STEP_HOURS,
            habit=now.habit,
            flagged=[prediction.is_shill_bid for prediction in predictions],
            summary=lab.run_drift_job(),
            alerts=lab.alerts(),
        )
