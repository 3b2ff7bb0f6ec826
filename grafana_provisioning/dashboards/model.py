"""Model monitoring: can the model be trusted now, and if not, why?"""

from grafana_foundation_sdk.builders import table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana_provisioning.frame import Section, board, runbook, section
from grafana_provisioning.names import (
    F1_TOLERANCE,
    LATE_SECONDS,
    MINIMUM_LABELS,
    MINIMUM_ROWS,
    MODEL,
    REPORTS_URL,
    STALE_SECONDS,
)
from grafana_provisioning.panels import (
    BLUE,
    DASHED,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    YELLOW,
    bars,
    buckets,
    color,
    coloured,
    columns,
    dial,
    graded,
    latest,
    lines,
    number,
    property_,
    queries,
    query,
    rows,
    verdict,
    words,
)

HERE = 'instance=~"$instance"'
F1 = f'metric="f1", {HERE}'
PREDICTIONS = f'shill_predictions_total{{model_version=~"$model_version", {HERE}}}'
SHILL = PREDICTIONS.replace("{", '{outcome="shill", ')
REVIEW, BLOCK = (
    f'shill_band_predictions_total{{band="{band}", {HERE}}}' for band in ("review", "block")
)

FRESH = ((None, GREEN), (LATE_SECONDS, YELLOW), (STALE_SECONDS, RED))
SCORE_AGE = f"time() - shill_drift_last_score_timestamp_seconds{{{HERE}}}"
SHARE = (
    f"shill_feature_drift_distance{{{HERE}}}"
    f" / on (instance, feature) shill_feature_drift_threshold{{{HERE}}}"
)
LABELLED = f'min(shill_model_performance_score{{source="labelled", {F1}}})'
ESTIMATED = f'min(shill_model_performance_score{{source="estimated", {F1}}})'
BASELINE = f"min(shill_model_performance_baseline{{{F1}}})"

WORDS = words(
    {
        0: ("Trusted", GREEN),
        1: ("Drift suspected", YELLOW),
        2: ("Unknown: stale", GREY),
        3: ("Drift", ORANGE),
        4: ("Performance low", RED),
    }
)
REPORTS = DashboardLink("Reports of the drift job").url(f"{REPORTS_URL}/").target_blank(True)

LOW = f"shill_model_performance_baseline{{{F1}}} - {F1_TOLERANCE}"
# The first line that holds for a host is its verdict; of several hosts, the worst counts.
VERDICT = f"""
max(
  # unknown: stale, or from the future, or of another model than the one that is served
  0 * (abs({SCORE_AGE}) > {STALE_SECONDS}) + 2
  or on (instance)
  max by (instance) (
    shill_model_info{{{HERE}}} unless on (instance, version) shill_drift_model_info{{{HERE}}}
  ) + 1
  or on (instance)
  # performance low
  0 * max by (instance) (
    shill_model_performance_score{{source="estimated", {F1}}} < ignoring (source) {LOW}
    or
    shill_model_performance_score{{source="labelled", {F1}}} < ignoring (source) {LOW}
    and on (instance) shill_labelled_rows{{{HERE}}} >= {MINIMUM_LABELS}
  ) + 4
  or on (instance)
  # drift in two runs on end, in one, in none
  0 * (shill_drift_alarm_streak{{{HERE}}} >= 2) + 3
  or on (instance)
  shill_drift_alarm_streak{{{HERE}}}
  or on (instance)
  # unknown: never scored
  0 * up{{job="model_server", {HERE}}} + 2
)
""".strip()

VERDICT_MEANS = (
    "**Trusted**: the newest window looks like the training data and F1 is near its baseline."
    " **Drift suspected**: the newest run found drift; one more makes it **Drift**."
    f" **Performance low**: F1, labelled or estimated, is more than {F1_TOLERANCE} below the"
    f" baseline. **Unknown: stale**: nothing was scored for {STALE_SECONDS // 60} minutes, or not"
    " for the model that is served."
)


def glance() -> Section:
    """The row that answers at a glance."""
    return section(
        "Can the model be trusted now?",
        verdict("Verdict", VERDICT_MEANS + runbook("DataDrift"), latest(VERDICT), WORDS)
        .links([REPORTS])
        .span(6),
        dial(
            "Drift score",
            "0: no drift. 0.5: exactly at the alarm. Towards 1: far beyond it. The largest of"
            " all features' d / (d + threshold)." + runbook("DataDrift"),
            latest(f"max(shill_data_drift_score{{{HERE}}})"),
            unit="none",
            thresholds=((None, GREEN), (0.5, RED)),
        ).span(6),
        bars(
            "F1 against the baseline",
            "Labelled: from labels that were sent back. Estimated: from calibrated"
            " probabilities, for the time before labels. Baseline: cross-validation at"
            " training. Of several hosts, the lowest." + runbook("LabelledPerformanceDrop"),
            *queries(
                (LABELLED, "Labelled"),
                (ESTIMATED, "Estimated"),
                (BASELINE, "Baseline"),
                now=True,
            ),
            unit="none",
            top=1,
        )
        .decimals(3)
        .override_by_name("Labelled", [color(BLUE)])
        .override_by_name("Estimated", [color(PURPLE)])
        .override_by_name("Baseline", [color(GREY)])
        .span(7),
        number(
            "Age of the newest score",
            f"Red from {STALE_SECONDS // 60} minutes on: two runs of the drift job were lost."
            " Of several hosts, the oldest." + runbook("DriftJobStale"),
            latest(f"max({SCORE_AGE})"),
            unit="s",
            thresholds=FRESH,
        )
        .decimals(0)
        .span(5),
        height=6,
    )


def drift() -> Section:
    """Which feature moved, and since when."""
    return section(
        "Do the records look like those of the training?",
        bars(
            "Distance of each feature, as a share of its threshold",
            "1 is the alarm. Distance: normed Wasserstein between window and training data."
            " Threshold: of this feature, for a window of this size." + runbook("FeatureDrift"),
            latest(f"sort_desc(max by (feature) ({SHARE}))", "{{feature}}"),
            unit="none",
            thresholds=((None, GREEN), (0.8, YELLOW), (1, RED)),
            top=2,
        )
        .decimals(2)
        .span(10),
        lines(
            "Distance of each feature over time",
            "As a share of its threshold; the dashed line at 1 is the alarm."
            + runbook("FeatureDrift"),
            query(f"max by (feature) ({SHARE})", "{{feature}}"),
            unit="none",
            thresholds=((None, "transparent"), (1, RED)),
        )
        .axis_soft_max(1.2)
        .span(14),
        height=9,
    )


def performance() -> Section:
    """How well it predicts, as far as that is known."""
    score = "max by (metric) (shill_model_performance_score{{source='{}', {}}})"
    shown = rows(
        "Performance now",
        "No value: not defined, as precision is where nothing was flagged, or no labels yet.",
        *queries(
            (score.format("labelled", HERE), ""),
            (score.format("estimated", HERE), ""),
            (f"max by (metric) (shill_model_performance_baseline{{{HERE}}})", ""),
            now=True,
        ),
    ).decimals(3)
    columns(shown, metric="Metric", Value_A="Labelled", Value_B="Estimated", Value_C="Baseline")
    return section(
        "Does it predict well?",
        lines(
            "F1, labelled and estimated",
            "Estimated values come at once but cannot see a new meaning of old records (concept"
            " drift); labelled ones can, as late as the labels come."
            + runbook("EstimatedPerformanceDrop"),
            *queries((LABELLED, "Labelled"), (ESTIMATED, "Estimated"), (BASELINE, "Baseline")),
            unit="none",
        )
        .decimals(2)
        .max(1)
        .axis_soft_min(0.8)
        .override_by_name("Labelled", [color(BLUE)])
        .override_by_name("Estimated", [color(PURPLE)])
        .override_by_name("Baseline", [color(GREY), DASHED])
        .span(14),
        shown.span(10),
        height=8,
    )


def predictions() -> Section:
    """What it answers."""
    rate = f"sum(rate({PREDICTIONS}[$__rate_interval]))"
    return section(
        "What does it answer?",
        buckets(
            "Probability of shill bidding",
            "Each column is a moment, each row a range of probabilities; the darker, the more"
            " predictions. All models. A change here comes before a change of performance.",
            query(
                "sum by (le) (increase("
                f"shill_prediction_probability_bucket{{{HERE}}}[$__rate_interval]))",
                "{{le}}",
            ),
        ).span(10),
        lines(
            "Share flagged as shill bidding",
            "Flagged: predicted to be shill; in the training data, about one record in ten is. To"
            " review, to block: in that band, whose thresholds the model card has.",
            *queries(
                (f"sum(rate({SHILL}[$__rate_interval])) / {rate}", "flagged"),
                (f"sum(rate({REVIEW}[$__rate_interval])) / {rate}", "to review"),
                (f"sum(rate({BLOCK}[$__rate_interval])) / {rate}", "to block"),
            ),
            unit="percentunit",
        )
        .axis_soft_max(0.2)
        .override_by_name("flagged", [color(BLUE)])
        .override_by_name("to review", [color(PURPLE)])
        .override_by_name("to block", [color(GREY)])
        .span(7),
        lines(
            "Predictions a second",
            "By the version of the model. Without traffic there is nothing to score.",
            query(
                f"sum by (model_version) (rate({PREDICTIONS}[$__rate_interval]))",
                "{{model_version}}",
            ),
            unit="none",
            stacked=True,
        ).span(7),
        height=8,
    )


def reviewers() -> Section:
    """What people decided of the flags."""
    decided = f"sum by (verdict) (increase(shill_review_decisions_total{{{HERE}}}[$__range]))"
    return section(
        "Do reviewers agree with it?",
        _estimated("precision", "Shills among the flagged", "somebody was judged in each band"),
        _estimated("recall", "Flagged among all shills", "the random sample was begun"),
        bars(
            "Judged by band",
            "Bidders on whom a reviewer decided; of `clear`, those of the random sample.",
            latest(f"sum by (band) (shill_review_judged{{{HERE}}})", "{{band}}"),
            unit="short",
        )
        .decimals(0)
        .span(4),
        number(
            "Decisions",
            "Made in the time range shown.",
            latest(decided, "{{verdict}}"),
            unit="short",
        )
        .decimals(0)
        .span(4),
        height=8,
    )


def _estimated(name: str, title: str, since: str) -> timeseries.Panel:
    """A share that decisions estimate, between the bounds of its interval."""
    of = f"avg by (bound) (shill_review_{name}{{{HERE}}})"
    return (
        lines(
            title,
            f"{name.capitalize()} as reviewers decided, and the bounds of its 95 % interval; the"
            f" more decisions, the narrower. No value until {since}.",
            query(of, "{{bound}}"),
            unit="percentunit",
        )
        .axis_soft_min(0)
        .max(1)
        .override_by_name("value", [color(BLUE)])
        .override_by_name("low", [color(GREY), DASHED])
        .override_by_name("high", [color(GREY), DASHED])
        .span(8)
    )


def window() -> Section:
    """What the scores rest on."""
    delay = "max(shill_label_delay_seconds{{quantile='{}', {}}})"
    return section(
        "What do the scores rest on?",
        number(
            "Predictions",
            "Records scored in the time range shown.",
            latest(f"sum(increase({PREDICTIONS}[$__range]))"),
            unit="short",
        )
        .span(4)
        .height(4),
        number(
            "Rows in the window",
            f"Predictions that the newest run compared; red below {MINIMUM_ROWS}, where nothing"
            " is scored. Of several hosts, the fewest." + runbook("DriftNotScored"),
            latest(f"min(shill_drift_window_rows{{{HERE}}})"),
            unit="short",
            thresholds=((None, RED), (MINIMUM_ROWS, BLUE)),
        )
        .span(4)
        .height(4),
        number(
            "Span of the window",
            "From its first prediction to its last.",
            latest(
                f"max(shill_drift_window_end_timestamp_seconds{{{HERE}}}"
                f" - shill_drift_window_start_timestamp_seconds{{{HERE}}})"
            ),
            unit="s",
        )
        .decimals(1)
        .span(4)
        .height(4),
        number(
            "Label coverage",
            "Share of the label window's predictions that have a label.",
            latest(f"min(shill_label_coverage_ratio{{{HERE}}})"),
            unit="percentunit",
        )
        .decimals(0)
        .span(4)
        .height(4),
        number(
            "Labels",
            "Labelled: predictions that the labelled scores rest on. Unknown: labels whose"
            " prediction is not in the log.",
            *queries(
                (f"sum(shill_labelled_rows{{{HERE}}})", "labelled"),
                (f"sum(shill_unknown_labels{{{HERE}}})", "unknown"),
                now=True,
            ),
            unit="short",
        )
        .override_by_name(
            "unknown",
            [graded((None, GREEN), (1, YELLOW))],
        )
        .span(4)
        .height(4),
        number(
            "Label delay",
            "From prediction to label: half of the labels, and nine in ten, come within.",
            *queries(
                (delay.format("0.5", HERE), "half"),
                (delay.format("0.9", HERE), "9 in 10"),
                now=True,
            ),
            unit="s",
        )
        .decimals(1)
        .span(4)
        .height(4),
        bars(
            "Findings of the newest run",
            "Rows, or columns, that the validation of the window points out.",
            latest(
                f"sort_desc(max by (finding) (shill_drift_window_findings{{{HERE}}}))",
                "{{finding}}",
            ),
            unit="short",
            thresholds=((None, GREEN), (1, YELLOW)),
        )
        .mappings(words({0: ("none", GREEN)}))
        .span(8)
        .height(9),
        freshness().span(8).height(9),
        versions().span(8).height(9),
    )


def freshness() -> table.Panel:
    """How old every number is."""
    ages = {
        "Drift score, performance": f"time() - shill_drift_last_score_timestamp_seconds{{{HERE}}}",
        "Window, findings, labels": (
            f"time() - shill_drift_last_success_timestamp_seconds{{{HERE}}}"
        ),
        "Newest prediction in the window": (
            f"time() - shill_drift_window_end_timestamp_seconds{{{HERE}}}"
        ),
        "Drift job's last attempt": f"time() - shill_drift_last_run_timestamp_seconds{{{HERE}}}",
        "Counts of the model server": f'time() - timestamp(up{{job="model_server", {HERE}}})',
    }
    union = "\nor\n".join(
        f'label_replace(max by (instance) ({age}), "number", "{name}", "", "")'
        for name, age in ages.items()
    )
    shown = rows(
        "Age of every number",
        f"Late from {LATE_SECONDS // 60} minutes on, stale from {STALE_SECONDS // 60}."
        + runbook("DriftJobStale"),
        latest(union),
    )
    columns(shown, number="Number", instance="Host", Value="Age")
    return coloured(shown, "Age", *FRESH, unit="s")


def versions() -> table.Panel:
    """Which model each host serves, and whether the scores are of that one."""
    served = (
        f"1000 * shill_model_loaded_timestamp_seconds{{{HERE}}}"
        f" * on (instance) group_right () shill_model_info{{{HERE}}}"
    )
    scored = f"on (instance, version) shill_drift_model_info{{{HERE}}}"
    shown = rows(
        "Models served",
        "Scored: whether the newest drift scores are of this model; after a promotion it takes a"
        " run of the drift job." + runbook("ModelVersionsDiffer"),
        latest(
            "max by (instance, version, scored) (\n"
            f'label_replace({served} and {scored}, "scored", "yes", "", "")\nor\n'
            f'label_replace({served} unless {scored}, "scored", "not yet", "", "")\n)'
        ),
    )
    columns(shown, instance="Host", version="Model", scored="Scored", Value="Loaded")
    return shown.override_by_name("Loaded", [property_("unit", "dateTimeAsIso")])


def build() -> Dashboard:
    """The dashboard `shill-model`."""
    return board(
        MODEL,
        "Whether the scores of the shill-bidding model can be trusted, and what that rests on.",
        job="model_server",
        since="now-24h",
        by_model=True,
        sections=[glance(), drift(), performance(), reviewers(), predictions(), window()],
    )
