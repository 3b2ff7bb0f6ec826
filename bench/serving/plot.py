"""The page's picture: requests/s of one row a request, by server and number of connections."""

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

WORKLOADS = {
    "one row, 1 connection": "1 connection",
    "one row": "16 connections",
    "one row, 64 connections": "64 connections",
}
COLOURS = ("#0b6e4f", "#c9c9c9", "#9db4c0", "#5c6b73")
HEIGHT = 0.2


def plot(run: dict[str, Any], path: Path) -> None:
    """Draw the medians of `run` into `path`, an SVG that is the same for the same figures."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    measured = {(sample["workload"], sample["server"]) for sample in run["samples"]}
    titles = {
        name: title
        for name, title in run["titles"].items()
        if all((workload, name) in measured for workload in WORKLOADS)
    }
    for number, (name, title) in enumerate(titles.items()):
        values = [
            median(
                sample["requests_per_second"]
                for sample in run["samples"]
                if (sample["workload"], sample["server"]) == (workload, name)
            )
            for workload in WORKLOADS
        ]
        places = [place + HEIGHT * number for place in range(len(WORKLOADS))]
        bars = axes.barh(places, values, 0.9 * HEIGHT, color=COLOURS[number], label=title)
        axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3, fontsize=8)
    axes.set_yticks([place + 1.5 * HEIGHT for place in range(len(WORKLOADS))], WORKLOADS.values())
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("predictions/s on one core, one a request")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    with mpl.rc_context({"svg.hashsalt": "benchmark"}):
        figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})
