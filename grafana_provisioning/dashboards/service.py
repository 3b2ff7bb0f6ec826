"""Service: is the API there, fast and right for its clients?"""

from collections.abc import Callable

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana_provisioning.dashboards.model import versions
from grafana_provisioning.frame import Section, board, runbook, section
from grafana_provisioning.names import (
    AVAILABILITY,
    FAST_BURN,
    IN_TIME,
    IN_TIME_SECONDS,
    SERVICE,
    SLOW_BURN,
)
from grafana_provisioning.panels import (
    BLUE,
    GREEN,
    GREY,
    IDLE,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    bars,
    color,
    latest,
    lines,
    number,
    queries,
    query,
    words,
)

HERE = 'instance=~"$instance"'
DURATION = "shill_http_request_duration_seconds"
PREDICT = f'route="/predict", method="POST", {HERE}'
IN_RANGE = "$__rate_interval"
MAY_FAIL = round(1 - AVAILABILITY, 6)
MAY_BE_LATE = round(1 - IN_TIME, 6)

BUDGET = ((None, RED), (0.1, YELLOW), (0.5, GREEN))


# What clients asked for, recorded by prometheus/rules: without probes and scrapes.
def failing(window: str) -> str:
    """Share of requests that the worst server failed to answer."""
    return f"max(instance:shill_http_requests_failed:ratio_rate{window}{{{HERE}}})"


def late(window: str) -> str:
    """Share of predictions that took the worst server longer than promised."""
    return f"max(instance:shill_predict_requests_slow:ratio_rate{window}{{{HERE}}})"


def quantile(q: float) -> str:
    """How long predictions took: a share of `q` took no longer."""
    buckets = f"{DURATION}_bucket{{{PREDICT}}}"
    return f"histogram_quantile({q}, sum by (le) (rate({buckets}[{IN_RANGE}])))"


def glance() -> Section:
    """The row that answers at a glance."""
    return section(
        "Is it well now?",
        number(
            "Servers up",
            "Model servers that answer Prometheus, of those that it knows."
            + runbook("ModelServerDown"),
            *queries(
                (f'sum(up{{job="model_server", {HERE}}})', "up"),
                (f'count(up{{job="model_server", {HERE}}})', "known"),
                now=True,
            ),
            unit="none",
            thresholds=((None, RED), (1, GREEN)),
        )
        .override_by_name("known", [color(GREY)])
        .span(4),
        number(
            "Requests a second",
            "Over the last 5 minutes; probes and scrapes are not counted.",
            latest(f"sum(instance:shill_http_requests:rate5m{{{HERE}}})"),
            unit="none",
        )
        .decimals(1)
        .span(4),
        number(
            "Failed",
            "Requests answered with a status of 500 or more, over the last 5 minutes; red where"
            " the error budget burns too fast." + runbook("AvailabilityBudgetBurn"),
            latest(failing("5m")),
            unit="percentunit",
            thresholds=(
                (None, GREEN),
                (MAY_FAIL, YELLOW),
                (round(FAST_BURN * MAY_FAIL, 6), RED),
            ),
        )
        .decimals(2)
        .mappings([IDLE])
        .span(4),
        number(
            "99 of 100 predictions within",
            "Over the last 5 minutes, `POST /predict`." + runbook("LatencyBudgetBurn"),
            latest(quantile(0.99).replace(IN_RANGE, "5m")),
            unit="s",
            thresholds=((None, GREEN), (IN_TIME_SECONDS, YELLOW), (0.1, RED)),
        )
        .decimals(1)
        .mappings([IDLE])
        .span(4),
        number(
            "Error budget left",
            f"Of 30 days in which {MAY_FAIL:.1%} of requests may fail."
            + runbook("AvailabilityBudgetBurn"),
            latest(f"1 - {failing('30d')} / {MAY_FAIL}"),
            unit="percentunit",
            thresholds=BUDGET,
        )
        .decimals(0)
        .mappings([IDLE])
        .span(4),
        number(
            "Latency budget left",
            f"Of 30 days in which {MAY_BE_LATE:.0%} of predictions may take longer than"
            f" {IN_TIME_SECONDS * 1000:.0f} ms." + runbook("LatencyBudgetBurn"),
            latest(f"1 - {late('30d')} / {MAY_BE_LATE}"),
            unit="percentunit",
            thresholds=BUDGET,
        )
        .decimals(0)
        .mappings([IDLE])
        .span(4),
        height=5,
    )


def requests() -> Section:
    """Rate, errors, duration."""
    return section(
        "Rate, errors, duration",
        lines(
            "Requests a second",
            "By route.",
            query(
                f"sum by (route) (rate({DURATION}_count{{{HERE}}}[{IN_RANGE}])) > 0",
                "{{route}}",
            ),
            unit="none",
            stacked=True,
        ).span(8),
        lines(
            "Share of requests that failed",
            "Answered with a status of 500 or more; the dashed line is what the objective"
            " allows." + runbook("AvailabilityBudgetBurn"),
            query(failing("5m"), "failed"),
            unit="percentunit",
            thresholds=((None, "transparent"), (MAY_FAIL, RED)),
        )
        .axis_soft_max(2 * MAY_FAIL)
        .override_by_name("failed", [color(BLUE)])
        .span(8),
        lines(
            "Duration of predictions",
            f"`POST /predict`; the dashed line is the objective: {IN_TIME:.0%} within"
            f" {IN_TIME_SECONDS * 1000:.0f} ms." + runbook("LatencyBudgetBurn"),
            *queries((quantile(0.5), "p50"), (quantile(0.95), "p95"), (quantile(0.99), "p99")),
            unit="s",
            thresholds=((None, "transparent"), (IN_TIME_SECONDS, RED)),
        )
        .axis_soft_max(IN_TIME_SECONDS * 1.2)
        .override_by_name("p50", [color(BLUE)])
        .override_by_name("p95", [color(PURPLE)])
        .override_by_name("p99", [color(ORANGE)])
        .span(8),
        height=8,
    )


def burning(budget: str, share: Callable[[str], str], may: float, alert: str) -> timeseries.Panel:
    """How fast a budget burns: a share of requests over what the objective allows."""
    return (
        lines(
            f"Burn rate of the {budget} budget",
            "1: the budget lasts exactly 30 days. Somebody is woken at"
            f" {FAST_BURN} over an hour, or {SLOW_BURN:g} over six." + runbook(alert),
            *queries(
                (f"{share('1h')} / {may}", "over 1 h"),
                (f"{share('6h')} / {may}", "over 6 h"),
            ),
            unit="none",
            thresholds=((None, "transparent"), (SLOW_BURN, YELLOW), (FAST_BURN, RED)),
        )
        .axis_soft_max(16)
        .override_by_name("over 1 h", [color(BLUE)])
        .override_by_name("over 6 h", [color(PURPLE)])
        .span(8)
    )


def objectives() -> Section:
    """How fast the budgets burn, and how busy the server is."""
    return section(
        "Objectives and saturation",
        burning("error", failing, MAY_FAIL, "AvailabilityBudgetBurn"),
        burning("latency", late, MAY_BE_LATE, "LatencyBudgetBurn"),
        lines(
            "Requests in progress",
            "How many are worked on at once, on average. When this grows faster than the rate,"
            " requests wait for each other.",
            query(
                f"sum by (instance) (rate({DURATION}_sum{{{HERE}}}[{IN_RANGE}]))",
                "{{instance}}",
            ),
            unit="none",
        ).span(8),
        height=8,
    )


def refusals() -> Section:
    """What clients and the server itself got wrong."""
    rejected = f"rate(shill_prediction_errors_total{{{HERE}}}[{IN_RANGE}])"
    return section(
        "What goes wrong",
        lines(
            "Refused requests a second",
            "Requests to predict that were refused, and why: the names are those of docs/api.md.",
            *queries(
                (f"sum({rejected})", "all"),
                (f"sum by (reason) ({rejected}) > 0", "{{reason}}"),
            ),
            unit="none",
        )
        .override_by_name("all", [color(GREY)])
        .span(8),
        bars(
            "Failed attempts to load a model",
            "In the time range shown. The old model serves on." + runbook("ModelLoadFailure"),
            latest(
                f"sum by (reason) (increase(shill_model_load_failures_total{{{HERE}}}[$__range]))",
                "{{reason}}",
            ),
            unit="short",
            thresholds=((None, GREEN), (1, RED)),
        )
        .mappings([])
        .decimals(0)
        .span(5),
        number(
            "Predictions not logged",
            "In the time range shown: answered, but lost to drift and performance."
            + runbook("PredictionLogDropping"),
            latest(f"sum(increase(shill_prediction_log_dropped_total{{{HERE}}}[$__range]))"),
            unit="short",
            thresholds=((None, GREEN), (1, RED)),
        )
        .decimals(0)
        .span(3),
        versions().span(8),
        height=8,
    )


def callers() -> Section:
    """Who asks, by key."""

    def by(labels: str, outcomes: str) -> str:
        selected = f"shill_key_requests_total{{outcome{outcomes}, {HERE}}}"
        return f"sum by ({labels}) (rate({selected}[{IN_RANGE}]))"

    return section(
        "Who asks",
        number(
            "Keys are needed",
            "Whether all servers refuse requests without a key: SHILL_AUTHENTICATION.",
            latest(f"min(shill_authentication_enabled{{{HERE}}})"),
            unit="none",
            thresholds=((None, RED), (1, GREEN)),
        )
        .mappings(words({0: ("off", RED), 1: ("yes", GREEN)}))
        .span(4),
        lines(
            "Requests a second by key",
            "With a key that is in force. `forbidden`: without the scope; `limited`: too often.",
            *queries(
                (by("key", '="allowed"'), "{{key}}"),
                (by("key, outcome", '!="allowed"') + " > 0", "{{key}} {{outcome}}"),
            ),
            unit="none",
        ).span(12),
        bars(
            "Time until keys expire",
            "Of keys that are not revoked; those that never expire are not here."
            + runbook("KeyExpiring"),
            latest(
                f"min by (name, key) (shill_key_expiry_timestamp_seconds{{{HERE}}}) - time()",
                "{{name}} ({{key}})",
            ),
            unit="s",
            thresholds=((None, RED), (14 * 86400, GREEN)),
        ).span(8),
        height=6,
    )


def build() -> Dashboard:
    """The dashboard `shill-service`."""
    return board(
        SERVICE,
        "Rate, errors, duration and saturation of the model servers, against their objectives.",
        job="model_server",
        since="now-6h",
        sections=[glance(), requests(), objectives(), refusals(), callers()],
    )
