"""Draws every dashboard: `python -m grafana_provisioning.preview --prometheus URL --output DIR`."""

import argparse
import time
from pathlib import Path

from grafana_provisioning.preview.draw import draw
from grafana_provisioning.queries import Prometheus, dashboards

SECONDS = {"m": 60, "h": 3600, "d": 86400}


def main() -> None:
    """Write one PNG a dashboard."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prometheus", metavar="URL", default="http://127.0.0.1:9090")
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path("docs/images"))
    parser.add_argument(
        "--minutes", type=float, default=0, help="range shown (default: the dashboard's)"
    )
    parser.add_argument("--at", metavar="TIME", type=float, help="Unix time (default: now)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for dashboard in dashboards():
        since = dashboard["time"]["from"].removeprefix("now-")
        seconds = 60 * options.minutes or int(since[:-1]) * SECONDS[since[-1]]
        prometheus = Prometheus(options.prometheus, options.at or time.time(), seconds)
        path = options.output / f"{dashboard['uid']}.png"
        draw(dashboard, prometheus).savefig(path)
        print(path)


if __name__ == "__main__":
    main()
