"""From measurements to JSON, and from JSON to Markdown and a plot."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bench.drift.measure import LARGEST_ERROR

PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn")

FALSE_ALARM_SIZES = (500, 2_000)
MOST_FALSE_ALARMS = 0.03
MOST_IN_ONE_SPLIT = 0.10
POWER_ROWS = 2_000
LEAST_POWER = 0.95
POWERFUL = (
    ("bidding_ratio", "values, at most 1", 1.3),
    ("successive_outbidding", "share of rows above 0", 2.0),
    ("successive_outbidding", "values, at most 1", 2.0),
)
MOST_CHANGED = 0.001


@dataclass(frozen=True)
class Target:
    """What was to be reached, and what was."""

    name: str
    measured: str
    reached: bool


def results(dataset: str, splits: int, seconds: float, measured: dict[str, Any]) -> dict[str, Any]:
    """Gather everything that is worth keeping, as JSON types."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "dataset": dataset,
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "splits": splits,
        "seconds": round(seconds),
        **measured,
    }


def targets(run: dict[str, Any]) -> Iterator[Target]:
    """Compare a run with what was to be reached."""
    for rows in FALSE_ALARM_SIZES:
        for alarms in run["false_alarms"]:
            if alarms["rows"] == rows:
                average, worst = mean(alarms["rates"]), max(alarms["rates"])
                yield Target(
                    f"false alarms, {rows:,} rows, {_way(alarms)}: at most "
                    f"{MOST_FALSE_ALARMS:.0%} on average, {MOST_IN_ONE_SPLIT:.0%} in any split",
                    f"{average:.2%}, {worst:.1%}",
                    average <= MOST_FALSE_ALARMS and worst <= MOST_IN_ONE_SPLIT,
                )
    for feature, change, factor in POWERFUL:
        detected = _power(run, feature, change)[factor][POWER_ROWS]
        yield Target(
            f"{feature}, {change}, x{factor:g}, {POWER_ROWS:,} rows: at least {LEAST_POWER:.0%} "
            "detected",
            f"{detected:.1%}",
            detected >= LEAST_POWER,
        )
    outliers = [each for each in run["outliers"] if each["rows"] == POWER_ROWS]
    for change, whole in (("caused", "windows"), ("hidden", "alarms")):
        changed, count = (sum(each[what] for each in outliers) for what in (change, whole))
        yield Target(
            f"alarms {change} by one absurd value, {POWER_ROWS:,} rows: at most "
            f"{MOST_CHANGED:.1%} of the {whole}",
            f"{changed} of {count:,}",
            changed <= MOST_CHANGED * count,
        )
    worst = max((each for each in run["estimates"] if not each["concept"]), key=_error)
    yield Target(
        f"estimated F1 within {LARGEST_ERROR:g} of the real one, held out and under every shift",
        f"{_error(worst):.3f} at most ({worst['shift']})",
        _error(worst) <= LARGEST_ERROR,
    )


def target_table(run: dict[str, Any]) -> str:
    """Render what was to be reached and what was."""
    lines = ["| To reach | Measured | |", "|---|---:|---|"]
    for target in targets(run):
        verdict = "reached" if target.reached else "**missed**"
        lines.append(f"| {target.name} | {target.measured} | {verdict} |")
    return "\n".join(lines) + "\n"


def figures(run: dict[str, Any]) -> str:
    """Render everything that was measured."""
    return f"""\
{target_table(run)}
Measured on {run["dataset"]}, {run["splits"]} random splits of its auctions into halves, in
{run["seconds"]} s of one core; {run["date"]}, Python {run["python"]},
{", ".join(f"{name} {number}" for name, number in run["packages"].items())}. All figures:
[`bench/drift/results.json`](../bench/drift/results.json).

**False alarms**: windows without drift in which any feature exceeds its threshold

| Rows | Auctions drawn | average | median split | worst split |
|--:|---|--:|--:|--:|
{_false_alarm_rows(run)}

**Power**: windows in which the shifted feature exceeds its threshold, by rows of the window

| Feature | What is multiplied | by | {" | ".join(f"{rows:,}" for rows in _sizes(run))} |
|---|---|--:|{"--:|" * len(_sizes(run))}
{_power_rows(run)}

![Power by size of the shift and of the window](images/drift-power.png)

**One absurd value** in one feature of a window; how far it moves the distance, in thresholds

| Value | Rows | windows without drift | alarms caused | alarms for drift | hidden | largest move |
|--:|--:|--:|--:|--:|--:|--:|
{_outlier_rows(run)}

**Estimated performance**: F1 of windows of {run["estimate_rows"]:,} rows, average over windows

| Rows drawn | estimated | real | apart | windows within {LARGEST_ERROR:g} | largest of a window |
|---|--:|--:|--:|--:|--:|
{_estimate_rows(run)}
"""


def power_plot(run: dict[str, Any], path: Path) -> None:
    """Draw the power against the size of the shift, a line for each size of window."""
    curves = [
        (feature, change)
        for feature, change in _curves(run)
        if len(_power(run, feature, change)) > 1
    ]
    figure = Figure(figsize=(4 * len(curves), 3.6), layout="constrained")
    all_axes = figure.subplots(1, len(curves), sharey=True)
    sizes = _sizes(run)
    colours = colormaps["viridis_r"](np.linspace(0.1, 1, len(sizes)))
    for axes, (feature, change) in zip(all_axes, curves, strict=True):
        power = _power(run, feature, change)
        for rows, colour in zip(sizes, colours, strict=True):
            shares = [power[factor][rows] for factor in power]
            axes.plot(
                [*power], shares, marker="o", markersize=3, color=colour, label=f"{rows:,} rows"
            )
        axes.axhline(LEAST_POWER, linestyle=":", color="grey")
        axes.set(title=feature, xlabel=f"{change}: times", ylim=(-0.02, 1.02))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    all_axes[0].set_ylabel("windows that alarm")
    all_axes[-1].legend(loc="lower right")
    # Without the library's name and version the bytes depend on the picture alone.
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _way(alarms: dict[str, Any]) -> str:
    return "repeatedly" if alarms["repeatedly"] else "once each"


def _error(estimate: dict[str, Any]) -> float:
    return abs(float(estimate["estimated"] - estimate["real"]))


def _sizes(run: dict[str, Any]) -> list[int]:
    return list(dict.fromkeys(point["rows"] for point in run["power"]))


def _curves(run: dict[str, Any]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((point["feature"], point["change"]) for point in run["power"]))


def _power(run: dict[str, Any], feature: str, change: str) -> dict[float, dict[int, float]]:
    """Return the power by factor, then by rows."""
    power: dict[float, dict[int, float]] = {}
    for point in run["power"]:
        if (point["feature"], point["change"]) == (feature, change):
            power.setdefault(point["factor"], {})[point["rows"]] = point["detected"]
    return power


def _false_alarm_rows(run: dict[str, Any]) -> str:
    return "\n".join(
        f"| {alarms['rows']:,} | {_way(alarms)} | {mean(alarms['rates']):.2%} "
        f"| {median(alarms['rates']):.2%} | {max(alarms['rates']):.1%} |"
        for alarms in run["false_alarms"]
    )


def _power_rows(run: dict[str, Any]) -> str:
    return "\n".join(
        f"| {feature} | {change} | {factor:g} | "
        + " | ".join(f"{share:.1%}" for share in by_rows.values())
        + " |"
        for feature, change in _curves(run)
        for factor, by_rows in _power(run, feature, change).items()
    )


def _outlier_rows(run: dict[str, Any]) -> str:
    return "\n".join(
        f"| {outlier['value']:,.0f} | {outlier['rows']:,} | {outlier['windows']:,} "
        f"| {outlier['caused']} | {outlier['alarms']:,} | {outlier['hidden']} "
        f"| {outlier['moved']:.3f} |"
        for outlier in run["outliers"]
    )


def _estimate_rows(run: dict[str, Any]) -> str:
    return "\n".join(
        f"| {estimate['shift']} | {estimate['estimated']:.3f} | {estimate['real']:.3f} "
        f"| {_error(estimate):.3f} | {estimate['within']:.1%} | {estimate['largest_error']:.3f} |"
        for estimate in run["estimates"]
    )
