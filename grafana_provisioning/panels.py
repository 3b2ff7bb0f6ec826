"""The house style of panels: one function a kind, so that dashboards say only what is special.

Colours mean: green is well, yellow deserves a look, red needs action, grey is not known. Lines that
judge nothing are blue, purple and grey.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    gauge,
    heatmap,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="$datasource")

GREEN, YELLOW, RED = "semi-dark-green", "semi-dark-yellow", "semi-dark-red"
ORANGE, GREY = "semi-dark-orange", "#8E8E8E"
BLUE, PURPLE = "semi-dark-blue", "semi-dark-purple"
WIDTH = 24  # of Grafana's grid

Step = tuple[float | None, str]
Panel = stat.Panel | gauge.Panel | bargauge.Panel | timeseries.Panel | heatmap.Panel | table.Panel
P = TypeVar("P", bound=Panel)


def query(expression: str, legend: str = "", *, ref: str = "A") -> prometheus.Dataquery:
    """A query over the dashboard's time range."""
    asked = prometheus.Dataquery().expr(expression).ref_id(ref).datasource(DATASOURCE).range()
    return asked.legend_format(legend) if legend else asked


def latest(expression: str, legend: str = "", *, ref: str = "A") -> prometheus.Dataquery:
    """A query for the present alone."""
    return query(expression, legend, ref=ref).instant()


def queries(*pairs: tuple[str, str], now: bool = False) -> list[prometheus.Dataquery]:
    """Several queries, each an expression and its legend."""
    ask = latest if now else query
    return [ask(expr, legend, ref=chr(ord("A") + i)) for i, (expr, legend) in enumerate(pairs)]


def steps(*pairs: Step) -> dashboard.ThresholdsConfig:
    """Thresholds: from each value on, the colour beside it; None is where they begin."""
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in pairs])
    )


def words(named: dict[int, tuple[str, str]]) -> list[models.ValueMapping]:
    """Texts and colours in the place of numbers."""
    return [
        models.ValueMap(
            options={
                str(value): models.ValueMappingResult(text=text, color=color, index=index)
                for index, (value, (text, color)) in enumerate(named.items())
            }
        )
    ]


# A share of nothing is not a number: without traffic, nothing failed and nothing was late.
IDLE = models.SpecialValueMap(
    options=models.DashboardSpecialValueMapOptions(
        match=models.SpecialValueMatch.NULL_AND_NAN,
        result=models.ValueMappingResult(text="no traffic", color=GREY),
    )
)


def property_(name: str, value: object) -> models.DynamicConfigValue:
    """A property of an override."""
    return models.DynamicConfigValue(name, value)


def color(name: str) -> models.DynamicConfigValue:
    """Of an override: this colour, whatever the value."""
    return property_("color", {"mode": "fixed", "fixedColor": name})


def graded(*pairs: Step) -> models.DynamicConfigValue:
    """Of an override: these thresholds."""
    shown = [{"value": value, "color": name} for value, name in pairs]
    return property_("thresholds", {"mode": "absolute", "steps": shown})


DASHED = property_("custom.lineStyle", {"fill": "dash", "dash": [8, 6]})


def _panel(
    panel: P,
    title: str,
    description: str,
    targets: Iterable[prometheus.Dataquery],
    unit: str,
    thresholds: Sequence[Step] | None,
) -> P:
    """What every panel has."""
    panel.title(title).description(description).datasource(DATASOURCE).unit(unit)
    panel.thresholds(steps(*(thresholds or [(None, BLUE)])))
    for target in targets:
        panel.with_target(target)
    return panel


def _last() -> common.ReduceDataOptions:
    """Of a series, the last value."""
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def number(
    title: str,
    description: str,
    *targets: prometheus.Dataquery,
    unit: str,
    thresholds: Sequence[Step] | None = None,
) -> stat.Panel:
    """One number, or a few, in the colour of its threshold."""
    panel = _panel(stat.Panel(), title, description, targets, unit, thresholds)
    return (
        panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .text_mode(common_models.BigValueTextMode.AUTO)
        .reduce_options(_last())
        .no_value("no data")
    )


def verdict(
    title: str, description: str, target: prometheus.Dataquery, mappings: list[models.ValueMapping]
) -> stat.Panel:
    """One word on a ground of its colour."""
    return (
        number(title, description, target, unit="none", thresholds=[(None, GREY)])
        .mappings(mappings)
        .color_mode(common_models.BigValueColorMode.BACKGROUND_SOLID)
        .no_value("Unknown: no data")
    )


def dial(
    title: str,
    description: str,
    target: prometheus.Dataquery,
    *,
    unit: str,
    thresholds: Sequence[Step],
    top: float = 1,
) -> gauge.Panel:
    """One number between 0 and `top`."""
    panel = _panel(gauge.Panel(), title, description, [target], unit, thresholds)
    return (
        panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .min(0)
        .max(top)
        .decimals(2)
        .show_threshold_markers(True)
        .show_threshold_labels(False)
        .reduce_options(_last())
        .no_value("no data")
    )


def bars(
    title: str,
    description: str,
    *targets: prometheus.Dataquery,
    unit: str,
    thresholds: Sequence[Step] | None = None,
    top: float | None = None,
) -> bargauge.Panel:
    """A horizontal bar for each series, as long as its last value."""
    panel = _panel(bargauge.Panel(), title, description, targets, unit, thresholds)
    panel = (
        panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .name_placement(common_models.BarGaugeNamePlacement.LEFT)
        .value_mode(common_models.BarGaugeValueMode.TEXT)
        .show_unfilled(True)
        .reduce_options(_last())
        .no_value("no data")
        .min(0)
    )
    return panel if top is None else panel.max(top)


def lines(
    title: str,
    description: str,
    *targets: prometheus.Dataquery,
    unit: str,
    thresholds: Sequence[Step] | None = None,
    stacked: bool = False,
) -> timeseries.Panel:
    """Lines over time; thresholds are dashed lines across them."""
    panel = _panel(timeseries.Panel(), title, description, targets, unit, thresholds)
    panel = (
        panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(2)
        .fill_opacity(30 if stacked else 0)
        .show_points(common_models.VisibilityMode.NEVER)
        .min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if thresholds:
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def rows(
    title: str, description: str, *targets: prometheus.Dataquery, unit: str = "none"
) -> table.Panel:
    """A table with a row for each series that the queries find now."""
    panel = _panel(table.Panel(), title, description, (), unit, None)
    for target in targets:
        panel.with_target(target.instant().format(PromQueryFormat.TABLE))
    if len(targets) > 1:
        panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    return panel.cell_height(common_models.TableCellHeight.SM).no_value("no data")


def columns(panel: table.Panel, **titles: str) -> table.Panel:
    """Name a table's columns and put them into this order.

    A query's values are called `Value`, or `Value_A` and so on where there are several queries.
    """
    names = [name.replace("Value_", "Value #") for name in titles]
    return panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": {name: index for index, name in enumerate(names)},
                "renameByName": dict(zip(names, titles.values(), strict=True)),
            },
        )
    )


def coloured(
    panel: table.Panel, column: str, *thresholds: Step, unit: str | None = None
) -> table.Panel:
    """Colour the text of a column by its value."""
    properties = [
        graded(*thresholds),
        property_("color", {"mode": "thresholds"}),
        property_("custom.cellOptions", {"type": "color-text"}),
    ]
    if unit:
        properties.append(property_("unit", unit))
    return panel.override_by_name(column, properties)


def buckets(title: str, description: str, target: prometheus.Dataquery) -> heatmap.Panel:
    """A histogram's buckets over time, darker where there is more."""
    panel = _panel(
        heatmap.Panel(), title, description, [target.format(PromQueryFormat.HEATMAP)], "short", None
    )
    return (
        panel.calculate(False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .steps(64)
            .exponent(0.5)
        )
        .y_axis(heatmap.YAxisConfig().unit("none"))
        .cell_gap(1)
    )
