"""Do to the lab what may happen to a host, under traffic from clients that never ask twice.

`python -m drill`, or `make drill`, prints a line for each event: requests that came in until it was
over, how many were refused (429 or 503 with Retry-After) and how many failed, how their 99th
percentile compares with that of the quiet before, how many acknowledged predictions are missing in
the log, and how long it took until requests were answered again.
"""

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from demo.lab import Lab, LabError
from drill.events import EVENTS
from drill.figures import COLUMNS, HEADS, Figures, table
from drill.run import hold

PAGE = Path("docs/reliability.md")
MARKED = re.compile("<!-- drill -->.*<!-- /drill -->", re.DOTALL)


def main() -> int:
    """Run the drill; returns 1 where an event did what it must not."""
    parser = argparse.ArgumentParser(
        prog="python -m drill",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", help="events whose name has this in it")
    parser.add_argument("--short", action="store_true", help="the events that make test runs")
    parser.add_argument(
        "--requests", type=int, default=1000, help="least during a planned event (default: 1000)"
    )
    parser.add_argument("--rate", type=float, default=100, help="requests a second (default: 100)")
    parser.add_argument("--write-docs", action="store_true", help=f"write the table into {PAGE}")
    options = parser.parse_args()
    events = [
        event
        for event in EVENTS
        if options.only in event.name and (event.short or not options.short)
    ]
    print(COLUMNS.format(*HEADS), flush=True)
    rows: list[Figures] = []
    wrong = []
    try:
        for event in events:
            row = hold(Lab(), event, options.rate, options.requests)
            rows.append(row)
            print(row, flush=True)
            for failure, times in row.failures.items():
                print(f"    {times} x {failure}")
            if row.lost or (event.unnoticed and row.refused + row.failed):
                wrong.append(event.name)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.write_docs:
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        marked = (
            f"<!-- drill -->\n{today}, {options.rate:g} requests a second:\n\n{table(rows)}\n"
            "<!-- /drill -->"
        )
        PAGE.write_text(MARKED.sub(lambda _: marked, PAGE.read_text()))
    if wrong:
        names = ", ".join(wrong)
        print(
            f"error: clients noticed more than they may, or lost answers: {names}", file=sys.stderr
        )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
