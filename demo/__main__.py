"""Play a day of simulated auctions on the lab: `python -m demo`, or `make demo`.

Predictions flow, reviewers decide at the desk, and the drift job runs every four hours. From 08:00
on shills have a new habit: the scores move, and an alert fires. A new model learns from what the
reviewers decided, answers a share of the requests, and takes over without a lost one; the alert
clears.
"""

import argparse
import sys

from demo.lab import Lab, LabError
from demo.play import Step, play
from demo.retraining import Retrained

COLUMNS = "{:<7}{:<12}{:>8}{:>9}{:>9}{:>7}{:>10}{:>9}{:>9}  {}"


def main() -> int:
    """Print a line for every `STEP_HOURS` of the day; returns 1 where the lab cannot play along."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="which day (default: one that was not played yet)")
    options = parser.parse_args()
    print(
        COLUMNS.format(
            *("until", "shills", "decided", "records", "flagged"),
            *("drift", "drifted", "F1 est.", "F1 lab."),
            "alerts firing",
        )
    )
    try:
        for step in play(Lab(), options.seed):
            if step.retrained:
                print(_news(step.retrained))
            print(_line(step), flush=True)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _news(retrained: Retrained) -> str:
    traffic = retrained.traffic
    return (
        f"  A new model has learnt from the decisions since the onset: {retrained.version}.\n"
        f"  {retrained.comparison}.\n"
        f"  While it was deployed, {traffic.requests:,} requests came in; {traffic.lost} were lost."
    )


def _line(step: Step) -> str:
    drift, estimated, labelled = step.summary.drift, step.summary.estimated, step.summary.labelled

    def figure(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    return COLUMNS.format(
        f"{step.until:02d}:00",
        step.habit,
        step.decisions,
        len(step.flagged),
        f"{sum(step.flagged) / len(step.flagged):.1%}",
        figure(drift.score if drift else None),
        len(drift.drifted) if drift else "-",
        figure(estimated.f1 if estimated else None),
        figure(labelled.f1),
        ", ".join(step.alerts) or "none",
    )


if __name__ == "__main__":
    sys.exit(main())
