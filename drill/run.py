"""Holds an event under traffic."""

import time
from functools import partial

from demo.lab import Lab, wait_for
from drill.events import Event, logged
from drill.figures import Figures, figures
from drill.traffic import Traffic

QUIET_SECONDS = 5.0
CALM_SECONDS = 3.0


def hold(lab: Lab, event: Event, rate: float, least: int) -> Figures:
    """Let an event happen under traffic, and wait until requests are answered again.

    Args:
        lab: To what it happens.
        event: Unless it is a fault, it happens again until `least` requests came in meanwhile.
        rate: Requests a second.
        least: See above.

    Raises:
        LabError: It could not be brought about, or the lab did not come back.
    """
    traffic = Traffic(lab, rate)
    begin = time.time()
    with traffic.flowing():
        time.sleep(QUIET_SECONDS)
        began, before = time.time(), len(traffic.requests)
        while True:
            event.cause(lab)
            wait_for(f"answers after: {event.name}", partial(_calm, traffic, time.time()))
            if event.fault or len(traffic.requests) - before >= least:
                break
    ended_before = [one for one in traffic.requests if one.began + one.seconds < began]
    during = [one for one in traffic.requests if one.began + one.seconds >= began]
    return figures(event.name, ended_before, during, logged(lab, begin))


def _calm(traffic: Traffic, over: float) -> bool:
    """Whether every request of the last seconds, all of them after `over`, was answered."""
    since = time.time() - CALM_SECONDS
    latest = [one for one in traffic.requests if one.began > since]
    return since > over and len(latest) > 0 and all(one.prediction_id for one in latest)
