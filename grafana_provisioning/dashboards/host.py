"""Host: what the machine and the jobs on it are doing."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana_provisioning.dashboards.model import FRESH
from grafana_provisioning.frame import Section, board, runbook, section
from grafana_provisioning.names import HOST, UNSHIPPED_SECONDS
from grafana_provisioning.panels import (
    GREEN,
    GREY,
    ORANGE,
    RED,
    YELLOW,
    color,
    coloured,
    columns,
    latest,
    lines,
    number,
    property_,
    queries,
    query,
    rows,
    words,
)

HERE = 'instance=~"$instance"'
MEMORY = f"1 - node_memory_MemAvailable_bytes{{{HERE}}} / node_memory_MemTotal_bytes{{{HERE}}}"
FULL = f"1 - instance_device:node_filesystem_avail:ratio{{{HERE}}}"
STATES = f"engine_daemon_container_states_containers{{{HERE}}}"

FILLING = ((None, GREEN), (0.8, YELLOW), (0.9, RED))

# The exit codes of `python -m flask_app drift`.
CODES = words(
    {
        0: ("0: scored, no alarm", GREEN),
        1: ("1: failed", RED),
        2: ("2: wrong usage", RED),
        3: ("3: scored, drift", ORANGE),
        4: ("4: too few rows", YELLOW),
        5: ("5: another run held the lock", YELLOW),
        70: ("70: crashed", RED),
        124: ("124: took too long", RED),
        137: ("137: killed", RED),
    }
)


def busy(window: str) -> str:
    """Share of its cores' time that each host used."""
    return f'1 - avg by (instance) (rate(node_cpu_seconds_total{{mode="idle", {HERE}}}[{window}]))'


def traffic(direction: str) -> str:
    """Bytes a second of each host, not counting what stays inside of it."""
    outside = f'device!~"lo|veth.*|docker.*|br-.*", {HERE}'
    metric = f"node_network_{direction}_bytes_total{{{outside}}}"
    return f"sum by (instance) (rate({metric}[$__rate_interval]))"


def glance() -> Section:
    """The row that answers at a glance."""
    return section(
        "Is the host well now?",
        number(
            "CPU",
            "Share of the cores' time that was used in 5 minutes. Of several hosts, the most.",
            latest(f"max({busy('5m')})"),
            unit="percentunit",
            thresholds=FILLING,
        )
        .decimals(0)
        .span(4),
        number(
            "Memory",
            "Share that is not available to programs. Of several hosts, the most.",
            latest(f"max({MEMORY})"),
            unit="percentunit",
            thresholds=FILLING,
        )
        .decimals(0)
        .span(4),
        number(
            "Fullest disk",
            "Share that is taken." + runbook("DiskFilling"),
            latest(f"max({FULL})"),
            unit="percentunit",
            thresholds=FILLING,
        )
        .decimals(0)
        .span(4),
        number(
            "Containers running",
            "As the Docker engines count them.",
            latest(f'sum(engine_daemon_container_states_containers{{state="running", {HERE}}})'),
            unit="none",
            thresholds=((None, RED), (1, GREEN)),
        ).span(4),
        number(
            "Drift job last succeeded",
            "It runs every 30 minutes. Of several hosts, the oldest." + runbook("DriftJobStale"),
            latest(f"max(time() - shill_drift_last_success_timestamp_seconds{{{HERE}}})"),
            unit="s",
            thresholds=FRESH,
        )
        .decimals(0)
        .span(4),
        number(
            "Unreadable textfiles",
            "Hosts on which node exporter could not read a file that a job left for it."
            + runbook("TextfileError"),
            latest(f"sum(node_textfile_scrape_error{{{HERE}}})"),
            unit="none",
            thresholds=((None, GREEN), (1, RED)),
        ).span(4),
        height=5,
    )


def resources() -> Section:
    """CPU, memory, disk, network."""
    share = "Share that is used, by host."
    return section(
        "Resources",
        lines(
            "CPU",
            share,
            query(busy("$__rate_interval"), "{{instance}}"),
            unit="percentunit",
        )
        .max(1)
        .span(6),
        lines("Memory", share, query(MEMORY, "{{instance}}"), unit="percentunit").max(1).span(6),
        lines(
            "Disks",
            "Share that is taken, by host and disk." + runbook("DiskFilling"),
            query(FULL, "{{instance}} {{device}}"),
            unit="percentunit",
            thresholds=((None, "transparent"), (0.9, RED)),
        )
        .max(1)
        .span(6),
        lines(
            "Network",
            "Bytes a second, by host.",
            *queries(
                (traffic("receive"), "{{instance}} in"),
                (traffic("transmit"), "{{instance}} out"),
            ),
            unit="Bps",
        ).span(6),
        height=8,
    )


def jobs() -> Section:
    """Containers, and what cron runs."""

    def job(metric: str) -> str:
        return f"max by (instance) (shill_drift_{metric}{{{HERE}}})"

    drift = rows(
        "Drift job",
        "Last run: its newest attempt, and how that ended. Success: its newest run that finished."
        + runbook("DriftJobFailed"),
        *queries(
            (f"time() - {job('last_run_timestamp_seconds')}", ""),
            (job("last_exit_code"), ""),
            (job("job_duration_seconds"), ""),
            (f"time() - {job('last_success_timestamp_seconds')}", ""),
            now=True,
        ),
    )
    columns(
        drift,
        instance="Host",
        Value_A="Last run",
        Value_B="Ended",
        Value_C="Took",
        Value_D="Success",
    )
    coloured(drift, "Last run", *FRESH, unit="s")
    coloured(drift, "Success", *FRESH, unit="s")
    coloured(drift, "Ended", (None, GREY))
    drift.override_by_name("Ended", [property_("mappings", CODES)])
    drift.override_by_name("Took", [property_("unit", "s")])

    def shipped(metric: str) -> str:
        return f"max by (instance) (shill_archive_{metric}{{{HERE}}})"

    archive = rows(
        "Archive in S3",
        "Of hosts that ship their prediction log. Pending: segments that are not there yet."
        " Success: the newest run that shipped all it was to." + runbook("ArchiveFailed"),
        *queries(
            (f"time() - {shipped('last_run_timestamp_seconds')}", ""),
            (shipped("failures"), ""),
            (shipped("pending_segments"), ""),
            (f"time() - {shipped('last_success_timestamp_seconds')}", ""),
            now=True,
        ),
    )
    columns(
        archive,
        instance="Host",
        Value_A="Last run",
        Value_B="Failures",
        Value_C="Pending",
        Value_D="Success",
    )
    shipping = ((None, GREEN), (UNSHIPPED_SECONDS, RED))
    coloured(archive, "Last run", *shipping, unit="s")
    coloured(archive, "Success", *shipping, unit="s")
    coloured(archive, "Failures", (None, GREEN), (1, RED))

    files = rows(
        "Textfiles",
        "What jobs left for node exporter, by age." + runbook("TextfileError"),
        latest(
            f"sort_desc(max by (instance, file) (time() - node_textfile_mtime_seconds{{{HERE}}}))"
        ),
    )
    columns(files, file="File", instance="Host", Value="Age")
    coloured(files, "Age", *FRESH, unit="s")
    return section(
        "Containers and jobs",
        lines(
            "Containers by state",
            "As the Docker engines count them. Stopped ones are old releases and jobs that have"
            " ended.",
            query(f"sum by (state) ({STATES})", "{{state}}"),
            unit="none",
        )
        .decimals(0)
        .override_by_name("running", [color(GREEN)])
        .override_by_name("stopped", [color(ORANGE)])
        .override_by_name("paused", [color(YELLOW)])
        .span(8),
        drift.span(16),
        files.span(8),
        archive.span(16),
        height=6,
    )


def build() -> Dashboard:
    """The dashboard `shill-host`."""
    return board(
        HOST,
        "CPU, memory, disks and network of the hosts, their containers and their jobs.",
        job="node",
        since="now-6h",
        sections=[glance(), resources(), jobs()],
    )
