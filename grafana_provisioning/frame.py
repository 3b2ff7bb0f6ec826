"""What every dashboard has: variables, annotations, links to the others, and numbered panels."""

from collections.abc import Iterable, Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from grafana_provisioning.names import HOST, MODEL, REPORTS_URL, SERVICE
from grafana_provisioning.panels import BLUE, DATASOURCE, PURPLE, Panel

Section = tuple[str, Sequence[Panel]]

TITLES = {MODEL: "Model monitoring", SERVICE: "Service", HOST: "Host"}
VERSIONS = "label_values(shill_predictions_total, model_version)"

# All counters of a server fall to 0 together, and only then, when it starts anew.
STARTS = (
    "sum by (instance)"
    ' (resets(shill_http_request_duration_seconds_count{instance=~"$instance"}[1m])) > 0'
)
CHANGES = (
    'max by (instance, version) (shill_model_info{instance=~"$instance"})'
    ' unless max by (instance, version) (shill_model_info{instance=~"$instance"} offset 1m)'
)


def runbook(alert: str) -> str:
    """The sentence of a description that leads to what to do; the role makes it a link."""
    return f" What to do: `docs/runbooks/{alert}.md`."


def _variable(name: str, label: str, values: str) -> dashboard.QueryVariable:
    """A variable of several values, all of them at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": values, "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


class _Annotation(models.AnnotationQuery):
    """A mark on all charts whenever an expression finds something."""

    def __init__(self, name: str, color: str, expression: str, title: str) -> None:
        super().__init__(
            name=name, datasource=DATASOURCE, enable=True, icon_color=color, expr=expression
        )
        self.title = title

    def to_json(self) -> dict[str, object]:
        # What the SDK's annotations lack of Prometheus's.
        more = {"titleFormat": self.title, "textFormat": "{{instance}}", "step": "60s"}
        return super().to_json() | more


def section(title: str, *panels: Panel, height: int | None = None) -> Section:
    """A row of panels, or a few, under the question that they answer.

    All are `height` units of Grafana's grid high, unless each says so itself.
    """
    if height is not None:
        for panel in panels:
            panel.height(height)
    return title, panels


def board(
    uid: str,
    description: str,
    *,
    job: str,
    since: str,
    sections: Iterable[Section],
    by_model: bool = False,
) -> models.Dashboard:
    """A dashboard over the hosts on which Prometheus has `job`.

    One that does not tell models apart hides their choice, which links carry on all the same.
    """
    model_version = _variable("model_version", "Model version", VERSIONS)
    if not by_model:
        model_version.hide(models.VariableHide.HIDE_VARIABLE)
    built = (
        dashboard.Dashboard(TITLES[uid])
        .uid(uid)
        .description(description)
        .tags(["shill"])
        .timezone("browser")
        .time(since, "now")
        .refresh("1m")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(
            dashboard.DatasourceVariable("datasource")
            .label("Data source")
            .type("prometheus")
            .current(models.VariableOption(selected=True, text="Prometheus", value="prometheus"))
        )
        .with_variable(_variable("instance", "Host", f'label_values(up{{job="{job}"}}, instance)'))
        .with_variable(model_version)
    )
    for other, title in TITLES.items():
        if other != uid:
            built.link(
                dashboard.DashboardLink(title)
                .type(models.DashboardLinkType.LINK)
                .url(f"/d/{other}")
                .icon("dashboard")
                .include_vars(True)
                .keep_time(True)
            )
    built.link(
        dashboard.DashboardLink("Drift reports")
        .type(models.DashboardLinkType.LINK)
        .url(f"{REPORTS_URL}/")
        .icon("doc")
        .tooltip("Evidently's report of each run of the drift job")
        .target_blank(True)
    )
    for title, panels in sections:
        built.with_row(dashboard.Row(title))
        for panel in panels:
            built.with_panel(panel)
    result = built.build()
    result.annotations = models.AnnotationContainer(
        list_val=[
            _Annotation("Model change", PURPLE, CHANGES, "Model {{version}}"),
            _Annotation("Server start", BLUE, STARTS, "Model server started"),
        ]
    )
    for number, numbered in enumerate(result.panels or [], start=1):
        numbered.id_val = number
    return result
