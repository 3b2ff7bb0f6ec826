"""Runs every panel's query: `python -m grafana_provisioning.check --prometheus URL`.

Names each query that finds nothing, and exits with 1 if there is one.
"""

import argparse
import math
import sys
import time
from collections.abc import Container, Iterator

from grafana_provisioning.names import HOST, MODEL, SERVICE
from grafana_provisioning.queries import Prometheus, QueryError, dashboards, panels

# What a healthy host may rightly lack: (dashboard, panel, query) and why.
MAY_BE_EMPTY = {
    (MODEL, "F1 against the baseline", "A"): "no labels were sent back",
    (MODEL, "F1, labelled and estimated", "A"): "no labels were sent back",
    (MODEL, "Performance now", "A"): "no labels were sent back",
    (MODEL, "Label delay", "A"): "no labels were sent back",
    (MODEL, "Label delay", "B"): "no labels were sent back",
    (MODEL, "Shills among the flagged", "A"): "no reviewer decided",
    (MODEL, "Flagged among all shills", "A"): "no reviewer decided",
    (SERVICE, "Refused requests a second", "B"): "no request was refused",
    (SERVICE, "Requests a second by key", "B"): "no key was refused",
    **{(HOST, "Archive in S3", query): "the host ships nothing" for query in "ABCD"},
}


def empty(
    prometheus: Prometheus, allowed: Container[tuple[str, str, str]] = MAY_BE_EMPTY
) -> Iterator[tuple[str, str, str, str]]:
    """Dashboard, panel, query and what is wrong with it, of each query that finds nothing."""
    for dashboard in dashboards():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                where = dashboard["uid"], panel["title"], target["refId"]
                try:
                    found = any(not math.isnan(s.last) for s in prometheus.run(target))
                except QueryError as error:
                    yield *where, str(error)
                    continue
                if not found and where not in allowed:
                    expression = " ".join(prometheus.fill(target["expr"]).split())
                    yield *where, f"finds nothing: {expression}"


def main() -> int:
    """Report the queries that find nothing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", metavar="URL", required=True)
    parser.add_argument("--minutes", type=float, default=60, help="range shown (default: 60)")
    parser.add_argument("--strict", action="store_true", help="also name what may be empty")
    options = parser.parse_args()
    asked = Prometheus(options.prometheus, time.time(), 60 * options.minutes)
    failures = list(empty(asked, () if options.strict else MAY_BE_EMPTY))
    for uid, title, ref, reason in failures:
        print(f"{uid}: {title} ({ref}): {reason}")
    if not failures:
        print("Every query of every dashboard finds what it must.")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
