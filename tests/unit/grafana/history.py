"""A made-up day of one host, to develop dashboards without a lab; not a measurement of anything.

`python tests/unit/grafana/history.py [healthy|drifting] >FILE` writes OpenMetrics text, and
`promtool tsdb create-blocks-from openmetrics FILE DATA` makes a Prometheus's data of it.
"""

import math
import sys
import time
from collections.abc import Iterator

HOURS, STEP = 24, 15
FEATURES = (
    "bidder_tendency",
    "bidding_ratio",
    "successive_outbidding",
    "last_bidding",
    "auction_bids",
    "starting_price_average",
    "early_bidding",
    "winning_ratio",
    "auction_duration",
)
OLD, NEW = "uci562-5d0c3a1e9b27", "uci562-0f3bb2a4c6d1"
PROBABILITIES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
SECONDS = (5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
FINDINGS = (
    "too_few_rows",
    "torn_lines",
    "missing_values",
    "constant_column",
    "out_of_range",
    "outliers",
    "future_timestamps",
    "sampled",
    "unscored_rows",
)
REASONS = ("out-of-range", "missing-field", "too-large")
DEPLOYED = HOURS * 3600 - 9 * 3600
ONSET = HOURS * 3600 - 4 * 3600


def wave(t: float, seed: int = 0) -> float:
    """Something that wanders between -1 and 1."""
    return 0.6 * math.sin(t / 5100 + seed) + 0.4 * math.sin(t / 970 + 3 * seed)


class Day:
    """What the host would show at any second of the day."""

    def __init__(self, *, drifting: bool, start: float) -> None:
        self.drifting = drifting
        self.start = start
        self.counts: dict[tuple[str, str], float] = {}

    def traffic(self, t: float) -> float:
        """Predictions a second."""
        return 6 + 4 * math.sin(t / 86400 * 2 * math.pi - 2) + wave(t)

    def shift(self, t: float) -> float:
        """How far the new habit has spread, 0 to 1."""
        return min(1.0, max(0.0, (t - ONSET) / 5400)) if self.drifting else 0.0

    def count(self, name: str, labels: str, more: float) -> tuple[str, str, float]:
        """A counter after `more`."""
        key = (name, labels)
        self.counts[key] = self.counts.get(key, 0.0) + more
        return name, labels, self.counts[key]

    def server(self, t: float) -> Iterator[tuple[str, str, float]]:
        """What the model server exposes."""
        if DEPLOYED <= t < DEPLOYED + STEP:
            self.counts = {k: v for k, v in self.counts.items() if not k[0].startswith("shill_")}
        version = NEW if t >= DEPLOYED else OLD
        scored = self.traffic(t) * STEP
        flagged = 0.107 + 0.01 * wave(t, 4) + 0.09 * self.shift(t)
        yield (
            "shill_model_info",
            f'version="{version}",dataset="uci562",estimator="gradient-boosting"',
            1,
        )
        yield (
            "shill_model_loaded_timestamp_seconds",
            "",
            self.start + (DEPLOYED if t >= DEPLOYED else 0),
        )
        for outcome, share in (("shill", flagged), ("honest", 1 - flagged)):
            labels = f'model_version="{version}",outcome="{outcome}"'
            yield self.count("shill_predictions_total", labels, scored * share)
        below = 0.0
        for bound in PROBABILITIES:
            low = 1 - math.exp(-bound * 30)
            high = max(0.0, (bound - 0.55) / 0.45) ** 3
            middle = min(1.0, max(0.0, (bound - 0.2) / 0.6))
            spread = 0.03 + 0.25 * self.shift(t)
            below = scored * ((1 - flagged - spread) * low + flagged * high + spread * middle)
            below = scored if bound == 1 else below
            yield self.count("shill_prediction_probability_bucket", f'le="{bound}"', below)
        yield self.count("shill_prediction_probability_bucket", 'le="+Inf"', scored)
        for reason in REASONS:
            often = 0.05 if reason == "out-of-range" and 40000 < t < 47000 else 0.0
            yield self.count("shill_prediction_errors_total", f'reason="{reason}"', often * STEP)
        for reason in ("checksum", "golden-row", "bundle", "store", "internal"):
            yield self.count("shill_model_load_failures_total", f'reason="{reason}"', 0)
        yield self.count("shill_prediction_log_dropped_total", "", 0)
        failed = 0.02 if 52000 < t < 53200 else 0.0
        for route, method, status, rate in (
            ("/predict", "POST", "200", scored * (1 - failed)),
            ("/predict", "POST", "500", scored * failed),
            ("/predict_batch", "POST", "200", scored / 20),
            ("/feedback", "POST", "200", scored / 15),
            ("/metrics", "GET", "200", 4),
            ("/health", "GET", "200", 2),
        ):
            labels = f'route="{route}",method="{method}",status="{status}"'
            typical = 0.0016 * (1 + 0.25 * wave(t, 2)) * (6 if route == "/predict_batch" else 1)
            for bound in SECONDS:
                within = 1 / (1 + (typical / bound) ** 2.6)
                yield self.count(
                    "shill_http_request_duration_seconds_bucket",
                    f'{labels},le="{bound}"',
                    rate * within,
                )
            yield self.count(
                "shill_http_request_duration_seconds_bucket", f'{labels},le="+Inf"', rate
            )
            yield self.count("shill_http_request_duration_seconds_count", labels, rate)
            yield self.count(
                "shill_http_request_duration_seconds_sum", labels, rate * typical * 1.4
            )

    def drift(self, now: float) -> Iterator[tuple[str, str, float]]:
        """What the newest run of the drift job left in the textfile directory."""
        t = now - now % 1800 + 12
        if t > now:
            t -= 1800
        moved = {"successive_outbidding": 2.4, "bidding_ratio": 1.3, "winning_ratio": 0.5}
        distances = {}
        for seed, feature in enumerate(FEATURES):
            threshold = 0.05 + 0.004 * seed
            share = 0.38 + 0.06 * seed % 0.3 + 0.12 * wave(t, seed)
            share += moved.get(feature, 0.0) * self.shift(t - 1200)
            distances[feature] = (share * threshold, threshold)
        score = max(d / (d + h) for d, h in distances.values())
        over = {f: d > h for f, (d, h) in distances.items()}
        onset = ONSET + 1200 + 5400 * 0.35
        streak = max(0, math.ceil((t - onset) / 1800)) if score > 0.5 else 0
        yield "shill_data_drift_score", "", score
        yield "shill_drifted_features", "", sum(over.values())
        yield "shill_drift_alarm_streak", "", streak
        for feature, (distance, threshold) in distances.items():
            yield "shill_feature_drift_distance", f'feature="{feature}"', distance
            yield "shill_feature_drift_threshold", f'feature="{feature}"', threshold
            yield "shill_feature_drift_alarm_streak", f'feature="{feature}"', streak * over[feature]
        late = self.shift(t - 5400)
        f1 = {
            "estimated": 0.974 + 0.004 * wave(t, 5) - 0.028 * self.shift(t - 1200),
            "labelled": 0.979 + 0.005 * wave(t, 6) - 0.17 * late,
        }
        for source, value in f1.items():
            for metric, more in (
                ("f1", 0.0),
                ("precision", -0.006),
                ("recall", 0.007),
                ("accuracy", 0.015),
            ):
                labels = f'source="{source}",metric="{metric}"'
                yield "shill_model_performance_score", labels, value + more
        for metric, value in (("f1", 0.981), ("precision", 0.979), ("recall", 0.984)):
            yield "shill_model_performance_baseline", f'metric="{metric}"', value
        yield "shill_label_coverage_ratio", "", 0.34 + 0.03 * wave(t, 7)
        yield "shill_labelled_rows", "", 3120
        yield "shill_unknown_labels", "", 4
        yield "shill_label_delay_seconds", 'quantile="0.5"', 3.1 * 3600
        yield "shill_label_delay_seconds", 'quantile="0.9"', 16.4 * 3600
        yield "shill_drift_window_rows", "", 10000
        span = 10000 / self.traffic(t)
        yield "shill_drift_window_start_timestamp_seconds", "", self.start + t - span
        yield "shill_drift_window_end_timestamp_seconds", "", self.start + t - 2
        for finding in FINDINGS:
            yield (
                "shill_drift_window_findings",
                f'finding="{finding}"',
                3 if finding == "outliers" else 0,
            )
        version = NEW if t >= DEPLOYED else OLD
        yield "shill_drift_model_info", f'version="{version}"', 1
        yield "shill_drift_last_success_timestamp_seconds", "", self.start + t
        yield "shill_drift_last_score_timestamp_seconds", "", self.start + t
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.start + t))
        yield "shill_drift_report_info", f'report="{stamp}"', 1
        yield "shill_drift_last_run_timestamp_seconds", "", self.start + t
        yield "shill_drift_last_exit_code", "", 3 if score > 0.5 else 0
        yield "shill_drift_job_duration_seconds", "", 7.3 + wave(t)
        for file in ("shill_drift.prom", "shill_drift_run.prom"):
            path = f"/var/lib/node_exporter/textfile/{file}"
            yield "node_textfile_mtime_seconds", f'file="{path}"', self.start + t
        yield "node_textfile_scrape_error", "", 0

    def machine(self, t: float) -> Iterator[tuple[str, str, float]]:
        """What node exporter shows of the machine."""
        busy = 0.18 + 0.02 * self.traffic(t) + 0.05 * wave(t, 9)
        for cpu in (0, 1):
            yield self.count(
                "node_cpu_seconds_total", f'cpu="{cpu}",mode="idle"', STEP * (1 - busy)
            )
            yield self.count("node_cpu_seconds_total", f'cpu="{cpu}",mode="user"', STEP * busy)
        yield "node_memory_MemTotal_bytes", "", 4 * 2**30
        yield "node_memory_MemAvailable_bytes", "", (2.1 - 0.2 * wave(t, 3)) * 2**30
        for mountpoint in ("/var/lib/docker", "/etc/hosts"):
            labels = f'device="/dev/sda1",mountpoint="{mountpoint}",fstype="ext4"'
            yield "node_filesystem_size_bytes", labels, 40 * 2**30
            yield "node_filesystem_avail_bytes", labels, (26 - t / 86400) * 2**30
            yield "node_filesystem_readonly", labels, 0
        for device, much in (("eth0", 1.0), ("lo", 5.0)):
            for direction, each in (("receive", 900), ("transmit", 1400)):
                yield self.count(
                    f"node_network_{direction}_bytes_total",
                    f'device="{device}"',
                    self.traffic(t) * each * much * STEP,
                )

    def engine(self, t: float) -> Iterator[tuple[str, str, float]]:
        """What the Docker engine shows."""
        for state, number in (("running", 4 + (t % 1800 < STEP)), ("stopped", 0), ("paused", 0)):
            yield "engine_daemon_container_states_containers", f'state="{state}"', number

    def everything(self, t: float) -> Iterator[tuple[str, str, float]]:
        """All series with the labels that Prometheus adds."""
        jobs = (
            ("model_server", self.server),
            ("node", self.drift),
            ("node", self.machine),
            ("docker", self.engine),
        )
        for job, exposed in jobs:
            target = f'instance="shill-lab",job="{job}"'
            for name, labels, value in exposed(t):
                yield name, ",".join(filter(None, (labels, target))), value
        for job in ("model_server", "node", "docker", "prometheus"):
            yield "up", f'instance="shill-lab",job="{job}"', 1


def main(kind: str) -> None:
    """Write the day that ends a quarter of an hour from now."""
    start = time.time() // STEP * STEP - HOURS * 3600 + 900
    day = Day(drifting=kind == "drifting", start=start)
    series: dict[tuple[str, str], list[str]] = {}
    for t in range(0, HOURS * 3600, STEP):
        for name, labels, value in day.everything(t):
            line = f"{name}{{{labels}}} {value!r} {start + t}\n"
            series.setdefault((name, labels), []).append(line)
    for _, samples in sorted(series.items()):
        sys.stdout.writelines(samples)
    sys.stdout.write("# EOF\n")


if __name__ == "__main__":
    main(*sys.argv[1:] or ["drifting"])
