"""Play a day of simulated auctions on the lab: `python -m demo`, or `make demo`.

Predictions flow, the drift job runs after every three hours of the day, labels arrive six hours
late. From 09:00 to 18:00 shills follow a new habit: the scores move, the alerts fire, and clear.
"""

import argparse
import sys

from demo.lab import Lab, LabError
from demo.play import Step, play

COLUMNS = "{:<7}{:<12}{:>8}{:>9}{:>7}{:>10}{:>9}{:>9}  {}"


def main() -> int:
    """Print a line for every three hours of the day; returns 1 where the lab cannot play along."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="another day (default: %(default)s)")
    options = parser.parse_args()
    print(
        COLUMNS.format(
            *("until", "shills", "records", "flagged", "drift", "drifted", "F1 est.", "F1 lab."),
            "alerts firing",
        )
    )
    try:
        for step in play(Lab(), options.seed):
            print(_line(step), flush=True)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _line(step: Step) -> str:
    drift, estimated, labelled = step.summary.drift, step.summary.estimated, step.summary.labelled

    def figure(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    return COLUMNS.format(
        f"{step.until:02d}:00",
        step.habit,
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
