"""Draws one dashboard into a picture: the grid, and in it what each panel shows."""

import math
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle, Wedge
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from grafana_provisioning.preview.fields import PALETTE, Field, hexadecimal
from grafana_provisioning.preview.tables import table
from grafana_provisioning.queries import Prometheus, Series

LABEL = "Preview drawn from the dashboard's JSON, not Grafana"

# Grafana's grid: 24 columns, rows of 30 pixels, 8 pixels between panels.
WIDTH, ROW, GAP, HEADER = 1600, 38, 8, 84
DPI = 100
DAY = 86400.0
GROUND, SHEET, INK, FAINT, EDGE = "#F4F5F5", "#FFFFFF", "#24292E", "#6E7681", "#DDE1E5"

FloatArray = NDArray[np.float64]
Answers = dict[str, list[Series]]
Marks = list[tuple[float, str]]


class Box:
    """A rectangle in pixels from the top left corner of the figure."""

    def __init__(self, figure: Figure, x: float, y: float, width: float, height: float) -> None:
        self.figure = figure
        self.x, self.y, self.width, self.height = x, y, width, height

    def inside(self, left: float, top: float, right: float, bottom: float) -> "Box":
        """What is left within margins."""
        return Box(
            self.figure,
            self.x + left,
            self.y + top,
            max(1.0, self.width - left - right),
            max(1.0, self.height - top - bottom),
        )

    @property
    def _size(self) -> tuple[float, float]:
        width, height = self.figure.get_size_inches() * DPI
        return float(width), float(height)

    def axes(self) -> Axes:
        """Axes that fill it."""
        width, height = self._size
        bottom = 1 - (self.y + self.height) / height
        place = (self.x / width, bottom, self.width / width, self.height / height)
        axes = self.figure.add_axes(place)
        axes.set_facecolor("none")
        return axes

    def plain(self) -> Axes:
        """Axes in pixels from the top left corner, without frame or ticks."""
        axes = self.axes()
        axes.set_xlim(0, self.width)
        axes.set_ylim(self.height, 0)
        axes.axis("off")
        return axes

    def sheet(self, color: str = SHEET, edge: str = EDGE) -> None:
        """Fill it."""
        style = "round,pad=0,rounding_size=3"
        axes = self.plain()
        axes.add_patch(
            FancyBboxPatch((0, 0), self.width, self.height, style, fc=color, ec=edge, lw=1)
        )

    def text(self, x: float, y: float, text: str, size: float, **how: Any) -> None:
        """Write at (x, y); `size` is in pixels."""
        width, height = self._size
        style: dict[str, Any] = {"color": INK, "va": "center", "parse_math": False}
        style |= {"fontsize": size * 72 / DPI, **how}
        self.figure.text((self.x + x) / width, 1 - (self.y + y) / height, text, **style)


def fitting(text: str, width: float, height: float, largest: float = 64) -> float:
    """The size in pixels at which a line of text fits."""
    return min(largest, height, width / max(1, len(text)) / 0.66)


def series_name(target: dict[str, Any], series: Series) -> str:
    """The name of a series in a legend."""
    legend = target.get("legendFormat", "")
    if not legend or legend == "__auto":
        return ", ".join(series.labels.values()) or "Value"
    for label, value in series.labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    return str(legend)


def named(panel: dict[str, Any], answers: Answers) -> list[tuple[str, Series]]:
    """All series with their names."""
    return [
        (series_name(target, series), series)
        for target in panel["targets"]
        for series in answers[target["refId"]]
    ]


def nothing(box: Box, panel: dict[str, Any]) -> None:
    """What a panel shows that finds nothing."""
    text = panel["fieldConfig"]["defaults"].get("noValue", "No data")
    size = fitting(text, box.width * 0.8, 18)
    box.text(box.width / 2, box.height / 2, text, size, ha="center", color=FAINT)


def stat(box: Box, panel: dict[str, Any], found: list[tuple[str, Series]]) -> None:
    """A number or a word, or a few side by side."""
    width = box.width / len(found)
    solid = panel["options"]["colorMode"].startswith("background")
    shown = [(name, Field(panel, name), series.last) for name, series in found]
    size = min(
        fitting(field.text(value), 0.86 * width, 0.5 * box.height) for _, field, value in shown
    )
    for index, (name, field, value) in enumerate(shown):
        cell = Box(box.figure, box.x + index * width, box.y, width, box.height)
        color = field.color(value)
        if solid:
            cell.inside(2, 0, 2, 2).sheet(color, color)
        middle = box.height * (0.56 if len(found) > 1 else 0.46)
        how = {"ha": "center", "color": SHEET if solid else color, "weight": "bold"}
        cell.text(width / 2, middle, field.text(value), size, **how)
        if len(found) > 1:
            cell.text(width / 2, middle - size * 0.5 - 12, name, 13, ha="center", color=FAINT)


def gauge(box: Box, panel: dict[str, Any], found: list[tuple[str, Series]]) -> None:
    """A dial; the thin ring outside of it shows the thresholds."""
    name, series = found[0]
    field = Field(panel, name)
    low, high = float(field.get("min", 0)), float(field.get("max", 1))
    axes = box.plain()
    radius = min(box.width / 2, box.height / 1.62) * 0.94
    centre = box.width / 2, radius * 1.06

    def angle(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return 150 + 240 * share  # the axes' y points down

    def ring(start: float, end: float, color: str, outer: float, width: float) -> None:
        axes.add_patch(Wedge(centre, outer, angle(start), angle(end), width=width, fc=color))

    ring(low, high, "#E9ECEF", radius * 0.92, radius * 0.26)
    ring(low, max(series.last, low + 1e-9), field.color(series.last), radius * 0.92, radius * 0.26)
    limits = [*(max(limit, low) for limit, _ in field.steps), high]
    for (_, color), start, end in zip(field.steps, limits[:-1], limits[1:], strict=True):
        ring(start, end, color, radius, radius * 0.05)
    text = field.text(series.last)
    size = fitting(text, radius, radius * 0.42)
    box.text(*centre, text, size, ha="center", color=field.color(series.last), weight="bold")


def bargauge(box: Box, panel: dict[str, Any], found: list[tuple[str, Series]]) -> None:
    """A bar for each series."""
    axes = box.plain()
    fields = [Field(panel, name) for name, _ in found]
    values = [series.last for _, series in found]
    top = fields[0].get("max") or max([*values, 1e-9])
    height = min(34.0, box.height / len(found))
    left = 20 + 7.6 * max(len(name) for name, _ in found)
    right = 24 + 8.2 * max(len(f.text(v)) for f, v in zip(fields, values, strict=True))
    space = max(10.0, box.width - left - right)
    start = (box.height - height * len(found)) / 2
    for index, ((name, _), field, value) in enumerate(zip(found, fields, values, strict=True)):
        y = start + height * (index + 0.5)
        color = field.color(value)
        box.text(left - 10, y, name, 13, ha="right")
        for length, tint in ((1.0, "#EEF0F2"), (min(max(value / top, 0), 1), color)):
            corner = (left, y - 0.34 * height)
            axes.add_patch(Rectangle(corner, space * length, 0.68 * height, fc=tint, lw=0))
        box.text(left + space + 10, y, field.text(value), 14, color=color, weight="bold")


def legend(box: Box, entries: list[tuple[str, str]]) -> float:
    """Write the legend at the bottom; tells how many pixels it takes."""
    lines: list[list[tuple[str, str]]] = [[]]
    taken = 0.0
    for name, color in entries:
        width = 30 + 7.2 * len(name)
        if taken + width > box.width and lines[-1]:
            lines.append([])
            taken = 0.0
        lines[-1].append((name, color))
        taken += width
    for index, line in enumerate(lines):
        x, y = 0.0, box.height - 18 * (len(lines) - index) + 8
        for name, color in line:
            box.text(x, y, "━", 12, color=color)
            box.text(x + 17, y, name, 12, color=FAINT)
            x += 30 + 7.2 * len(name)
    return 18.0 * len(lines) + 8.0


def when(seconds: float) -> float:
    """A time for matplotlib's axis, which counts days since 1970."""
    return seconds / DAY


def time_axes(box: Box, prometheus: Prometheus) -> Axes:
    """Axes over the dashboard's time range."""
    axes = box.axes()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(EDGE)
    axes.tick_params(length=0, labelsize=8.5, colors=FAINT)
    axes.set_xlim(when(prometheus.end - prometheus.seconds), when(prometheus.end))
    axes.tick_params(axis="x", pad=6)
    locator = AutoDateLocator(minticks=2, maxticks=max(3, int(box.width / 90)))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    shown = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(shown)
    return axes


def moments(prometheus: Prometheus) -> FloatArray:
    """The times, (n,), at which a range has points."""
    steps = np.arange(int(prometheus.seconds / prometheus.step) + 1, dtype=np.float64)
    return prometheus.end - prometheus.seconds + prometheus.step * steps


def values_of(series: Series, prometheus: Prometheus) -> FloatArray:
    """A series' values at these moments, (n,); NaN where it has none."""
    begin = prometheus.end - prometheus.seconds
    values = np.full(len(moments(prometheus)), math.nan)
    for time, value in series.points:
        values[round((time - begin) / prometheus.step)] = value
    return values


def timeseries(
    box: Box, panel: dict[str, Any], answers: Answers, prometheus: Prometheus, marks: Marks
) -> None:
    """Lines over time."""
    found = named(panel, answers)
    fields = [Field(panel, name) for name, _ in found]
    colors = [f.fixed or PALETTE[i % len(PALETTE)] for i, f in enumerate(fields)]
    below = legend(box, [(name, color) for (name, _), color in zip(found, colors, strict=True)])
    general = Field(panel, "")
    stacked = general.custom.get("stacking", {}).get("mode") == "normal"
    axes = time_axes(box.inside(52, 4, 18, below + 22), prometheus)
    times = moments(prometheus) / DAY
    base = np.zeros(len(times))
    lowest, highest = math.inf, 0.0
    for (_, series), field, color in zip(found, fields, colors, strict=True):
        values = values_of(series, prometheus)
        if stacked:
            axes.fill_between(times, base, base + values, color=color, alpha=0.3, lw=0)
            values = base + values
            base = np.where(np.isnan(values), base, values)
        dashed = field.custom.get("lineStyle", {}).get("fill") == "dash"
        axes.plot(times, values, color=color, lw=1.6, ls=(0, (5, 4)) if dashed else "-")
        present = values[~np.isnan(values)]
        lowest, highest = min([lowest, *present]), max([highest, *present])
    bottom = general.get("min", 0)
    if "axisSoftMin" in general.custom:
        bottom = min(general.custom["axisSoftMin"], lowest)
    top = general.get("max") or max(highest * 1.08, general.custom.get("axisSoftMax", 0)) or 1
    axes.set_ylim(bottom, top)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=general.get("decimals") == 0))
    axes.yaxis.set_major_formatter(lambda value, _: general.text(value))
    axes.grid(axis="y", color="#EBEEF0", lw=0.8)
    axes.set_axisbelow(True)
    if general.custom.get("thresholdsStyle", {}).get("mode", "off") != "off":
        for limit, color in general.steps[1:]:
            axes.axhline(limit, color=color, lw=1.2, ls=(0, (6, 4)))
    for time, color in marks:
        axes.axvline(when(time), color=color, lw=1, ls=(0, (2, 2)))


def heatmap(box: Box, answers: Answers, prometheus: Prometheus) -> None:
    """Buckets over time, each row one bucket."""
    (found,) = answers.values()
    found = sorted(found, key=lambda series: float(series.labels["le"]))
    counts = np.nan_to_num([values_of(series, prometheus) for series in found])
    # Buckets of Prometheus hold what is in those below them, too.
    each = np.clip(np.diff(counts, axis=0, prepend=0), 0, None)
    axes = time_axes(box.inside(40, 4, 18, 24), prometheus)
    axes.imshow(
        np.ma.masked_less_equal(each, 0),
        cmap="Blues",
        norm=PowerNorm(0.5, vmin=0, vmax=float(each.max()) or 1.0),
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(*axes.get_xlim(), 0, len(found)),
    )
    bounds = [series.labels["le"] for series in found]
    places = [i for i, bound in enumerate(bounds) if bound != "+Inf"]
    axes.set_yticks([place + 1 for place in places], [bounds[place] for place in places])


def cells(box: Box, panel: dict[str, Any], answers: Answers) -> None:
    """A table."""
    titles, rows = table(panel, answers)
    texts = [
        [
            "" if (value := row.get(title, "")) == "" else shown(panel, title, value)
            for title in titles
        ]
        for row in rows
    ]
    lengths = [
        max(4, *(len(line[column]) for line in [titles, *texts])) for column in range(len(titles))
    ]
    edges = np.cumsum([0, *lengths]) / sum(lengths) * box.width
    largest = (box.width - 14 * len(titles)) / sum(lengths) / 0.68
    size, height = min(13.0, largest), 30.0
    axes = box.plain()
    for column, title in enumerate(titles):
        box.text(edges[column] + 6, height / 2, title, size, color=FAINT, weight="bold")
        for line, row in enumerate(rows):
            y = height * (line + 1.5)
            if y + height / 2 > box.height:
                break
            value = row.get(title, "")
            coloured = "cellOptions" in Field(panel, title).custom and isinstance(value, float)
            color = Field(panel, title).color(float(value)) if coloured else INK
            weight = "bold" if coloured else "normal"
            box.text(edges[column] + 6, y, texts[line][column], size, color=color, weight=weight)
            axes.axhline(height * (line + 1), color=EDGE, lw=0.8)


def shown(panel: dict[str, Any], column: str, value: str | float) -> str:
    """The text of a table's cell."""
    return Field(panel, column).text(value) if isinstance(value, float) else value


SINGLE: dict[str, Callable[[Box, dict[str, Any], list[tuple[str, Series]]], None]] = {
    "stat": stat,
    "gauge": gauge,
    "bargauge": bargauge,
}


def draw_panel(
    box: Box, panel: dict[str, Any], answers: Answers, prometheus: Prometheus, marks: Marks
) -> None:
    """A panel with its title."""
    box.sheet()
    title = panel["title"]
    box.text(10, 17, title, fitting(title, box.width - 16, 14, 14), weight="bold")
    content = box.inside(10, 34, 10, 8)
    kind = panel["type"]
    if kind == "text":
        lines = textwrap.fill(panel["options"]["content"], int(box.width / 7))
        content.text(0, content.height / 2, lines, 13)
    elif not any(answers.values()):
        nothing(content, panel)
    elif kind in SINGLE:
        SINGLE[kind](content, panel, named(panel, answers))
    elif kind == "timeseries":
        timeseries(content, panel, answers, prometheus, marks)
    elif kind == "heatmap":
        heatmap(content, answers, prometheus)
    elif kind == "table":
        cells(content, panel, answers)
    else:
        raise ValueError(f"no way to draw a panel of the kind {kind}: {title}")


def _chosen(variable: dict[str, Any]) -> str:
    """What a variable is set to."""
    text = variable["current"]["text"]
    return text if isinstance(text, str) else ", ".join(text)


def draw(dashboard: dict[str, Any], prometheus: Prometheus) -> Figure:
    """The whole dashboard, with what Prometheus answers."""
    rows = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in dashboard["panels"])
    height = HEADER + rows * ROW + GAP
    figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor=GROUND)
    page = Box(figure, 0, 0, WIDTH, height)
    page.text(16, 26, dashboard["title"], 22, weight="bold")
    page.text(WIDTH - 16, 26, LABEL, 15, ha="right", color="#B35900", weight="bold")
    variables = [v for v in dashboard["templating"]["list"] if not v.get("hide")]
    shown = [f"{variable['label']}: {_chosen(variable)}" for variable in variables]
    minutes = prometheus.seconds / 60
    shown.append(f"Last {minutes:g} min" if minutes < 60 else f"Last {minutes / 60:g} h")  # noqa: PLR2004
    page.text(16, 60, "     ".join(shown), 14, color=FAINT)
    annotations = dashboard["annotations"]["list"]
    for index, mark in enumerate(annotations):
        color = hexadecimal(mark["iconColor"])
        page.text(640 + 140 * index, 60, f"┆ {mark['name']}", 14, color=color)
    links = "     ".join(link["title"] for link in dashboard["links"])
    page.text(WIDTH - 16, 60, links, 14, ha="right", color="#3274D9")
    marks = [
        (time, hexadecimal(mark["iconColor"]))
        for mark in annotations
        for series in prometheus.run(mark, step=60)
        for time, _ in series.points[:1]
    ]
    unit = (WIDTH - 2 * GAP) / 24
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        box = Box(
            figure,
            GAP + place["x"] * unit + GAP / 2,
            HEADER + place["y"] * ROW,
            place["w"] * unit - GAP,
            place["h"] * ROW - GAP,
        )
        if panel["type"] == "row":
            box.text(8, box.height / 2, panel["title"], 17, weight="bold")
            continue
        answers = {t["refId"]: prometheus.run(t) for t in panel.get("targets", [])}
        draw_panel(box, panel, answers, prometheus, marks)
    return figure
