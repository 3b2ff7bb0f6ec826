"""Every setting of the package: one table, read from the environment.

`docs/settings.md` is generated from this table; a test fails when the two differ.
"""

import difflib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from flask_app.errors import SettingError

PREFIX = "SHILL_"
_SERVICE_LINK = re.compile(
    r"SHILL_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)"
)


def _setting(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    metadata = {"description": description, "minimum": minimum, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one process; each field is the environment variable SHILL_<FIELD>.

    A default's type is the setting's type. Raises `SettingError` for a value of another type,
    below the stated minimum or not among the choices, and for a variable that is misspelt. The
    variables that Kubernetes sets for a Service named shill are passed over.
    """

    dataset: str = _setting("", "UCI 562 as CSV; empty: download it, or simulate auctions.")
    dataset_columns: str = _setting(
        "",
        "Its columns where they are named otherwise: NAME=COLUMN by commas, such as "
        "auction_id=lot,is_shill=fraud; further columns are then passed over.",
    )
    candidates: str = _setting(
        "",
        "What training compares, by commas: names of candidates, MODULE:FUNCTION of your own; "
        "empty: all candidates.",
    )
    cache_dir: Path = _setting(Path(".cache"), "Directory of the downloaded dataset.")
    model_store: str = _setting("models", "The model store: a directory, or s3://BUCKET/PREFIX.")
    model_cache: Path = _setting(
        Path(".cache/models"),
        "Directory that keeps what was last served from a store in S3; it is itself a store.",
    )
    model_version: str = _setting(
        "",
        "Version of the store to serve whatever is in production, as a deploy's candidate does; "
        "empty: what is in production.",
    )
    profile_store: str = _setting(
        "profiles", "The store of profiles of bidders: a directory, or s3://BUCKET/PREFIX."
    )
    profile_cache: Path = _setting(
        Path(".cache/profiles"),
        "Directory that keeps the profiles last used from a store in S3.",
    )
    reload_seconds: float = _setting(
        2.0,
        "How often a worker looks in a directory for a newly promoted model or snapshot of the "
        "profiles, s.",
        minimum=0.05,
    )
    s3_reload_seconds: float = _setting(30.0, "How often it looks in S3, s.", minimum=1)
    workers: int = _setting(2, "Gunicorn worker processes.", minimum=1)
    bind: str = _setting("127.0.0.1:8000", "Address and port the API listens on.")
    authentication: str = _setting(
        "keys",
        "Whether requests need a key: `keys`, or `off` where whoever reaches the port may ask.",
        choices=("keys", "off"),
    )
    key_store: Path = _setting(Path("keys"), "Directory of the API keys' hashes.")
    api_key: str = _setting(
        "", "The key with which `smoke` asks an API; the server does not use it."
    )
    api_authority: str = _setting(
        "",
        "PEM file of the authority that vouches for the API that `smoke` asks by HTTPS; empty: "
        "those that Python trusts.",
    )
    max_body_bytes: int = _setting(8 * 2**20, "Largest request body, bytes.", minimum=1024)
    max_batch_rows: int = _setting(10_000, "Most records in one batch.", minimum=1)
    max_inflight_bytes: int = _setting(
        32 * 2**20,
        "Most bytes of request bodies that a worker holds at once; at least the largest body.",
        minimum=1024,
    )
    max_wait_seconds: float = _setting(
        0.1,
        "A prediction that would wait longer than this for its turn is refused, s.",
        minimum=0.001,
    )
    request_timeout_seconds: float = _setting(
        10.0,
        "How long a request's headers may take to arrive, and its body or the next line of it, s.",
        minimum=0.1,
    )
    keepalive_seconds: int = _setting(
        20,
        "How long an idle connection is kept, s; must exceed a load balancer's idle timeout.",
        minimum=1,
    )
    metrics_dir: Path = _setting(
        Path("/dev/shm/shill-metrics"),  # noqa: S108 - shared memory of the container, by design
        "Directory through which the workers share their metrics; emptied at start.",
    )
    log_dir: Path = _setting(Path("predictions"), "Directory of the prediction log.")
    log_segment_bytes: int = _setting(64 * 2**20, "A segment is closed at this size.", minimum=4096)
    log_segment_seconds: float = _setting(3600.0, "A segment is closed at this age, s.", minimum=1)
    log_retention_bytes: int = _setting(
        4 * 2**30, "Closed segments beyond this total are deleted, oldest first.", minimum=4096
    )
    log_retention_days: float = _setting(
        90.0, "Closed segments older than this are deleted.", minimum=1
    )
    log_fsync_seconds: float = _setting(
        1.0, "How often written predictions are forced to disk, s.", minimum=0.01
    )
    log_level: str = _setting(
        "info",
        "Threshold of the service's own log.",
        choices=("debug", "info", "warning", "error", "critical"),
    )
    drift_window_rows: int = _setting(
        10_000, "Most predictions that one drift run looks at, the latest.", minimum=1
    )
    drift_window_hours: float = _setting(
        24.0, "Age beyond which it looks at none, hours.", minimum=0.01
    )
    drift_minimum_rows: int = _setting(
        200, "With fewer usable predictions than this no drift is scored.", minimum=2
    )
    drift_sample_rows: int = _setting(
        100_000, "Of more predictions than this, whole auctions are drawn.", minimum=100
    )
    drift_label_hours: float = _setting(
        168.0, "Age beyond which a prediction's label is not looked at, hours.", minimum=0.01
    )
    drift_label_rows: int = _setting(
        100_000, "Most labelled predictions that one run looks at, the latest.", minimum=1
    )
    drift_textfile_dir: Path = _setting(
        Path("textfile"), "Directory of the drift job's metrics, for node exporter."
    )
    drift_reports_dir: Path = _setting(Path("reports"), "Directory of the drift job's reports.")
    drift_reports_kept: int = _setting(48, "Reports that stay.", minimum=1)
    archive: str = _setting(
        "", "Where `ship` keeps the logs and `query` looks for them: s3://BUCKET; empty: nowhere."
    )
    archive_host: str = _setting("", "This host's name in the archive; empty: its hostname.")
    archive_keep_hours: float = _setting(
        192.0,
        "Age until which shipped segments stay here, hours; the drift job's windows must fit in.",
        minimum=0,
    )
    archive_run_segments: int = _setting(1000, "Most segments that one run ships.", minimum=1)
    review_bind: str = _setting("127.0.0.1:8002", "Address and port the review desk listens on.")
    review_hosts: str = _setting(
        "",
        "Names by which browsers may reach the review desk, by commas, besides localhost and "
        "addresses.",
    )
    review_auctions: str = _setting(
        "",
        "The auction site's table of auctions, as `score` takes it, from which the review desk "
        "draws bids; empty: it draws none.",
    )
    review_bids: str = _setting("", "Likewise its table of bids.")
    review_rows: int = _setting(
        1_000_000, "Most bidders that the review desk holds, the latest.", minimum=1
    )
    review_sample: float = _setting(
        0.01,
        "Share of the bidders that the review desk draws at random, to learn what no band flags.",
        minimum=0.000001,
    )
    review_refresh_seconds: float = _setting(
        60.0, "How often the review desk looks for new predictions and labels, s.", minimum=1
    )
    release: str = _setting("", "Name of the deployment; GET /ready tells it.")

    def look_seconds(self, store: str) -> float:
        """How often to look for what was newly promoted in `store`, s."""
        return self.s3_reload_seconds if store.startswith("s3://") else self.reload_seconds

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings from `environment` (the process's own by default)."""
        environment = os.environ if environment is None else environment
        known = {PREFIX + item.name.upper(): item for item in fields(cls)}
        for variable in environment:
            if not variable.startswith(PREFIX) or variable in known:
                continue
            if not _is_of_kubernetes(variable, environment[variable]):
                nearest = difflib.get_close_matches(variable, known, n=1, cutoff=0)[0]
                raise SettingError(f"{variable} is not a setting: did you mean {nearest}?")
        values: dict[str, Any] = {}
        for variable, item in known.items():
            if variable in environment:
                values[item.name] = _parse(variable, environment[variable], item)
        settings = cls(**values)
        if settings.max_inflight_bytes < settings.max_body_bytes:
            raise SettingError(
                f"SHILL_MAX_INFLIGHT_BYTES={settings.max_inflight_bytes} is below "
                f"SHILL_MAX_BODY_BYTES={settings.max_body_bytes}: raise it, or no such body fits"
            )
        return settings


def _is_of_kubernetes(variable: str, value: str) -> bool:
    """Whether Kubernetes sets `variable` in every pod beside a Service named shill or shill-*."""
    return bool(_SERVICE_LINK.fullmatch(variable)) and (
        "_SERVICE_" in variable or "://" in value or "_TCP_" in variable or "_UDP_" in variable
    )


def _parse(variable: str, text: str, item: Field[Any]) -> Any:
    kind: type = type(item.default)
    minimum, choices = item.metadata["minimum"], item.metadata["choices"]
    if isinstance(item.default, Path) and not text:
        raise SettingError(f"{variable} is empty: set it to a directory, or unset it")
    try:
        value = kind(text)
    except ValueError:
        raise SettingError(
            f"{variable}={text!r} is not of type {kind.__name__}: correct or unset it"
        ) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingError(f"{variable}={text!r} is not finite: set it to a number")
    if minimum is not None and value < minimum:
        raise SettingError(f"{variable}={text!r} is below the minimum {minimum:g}: raise it")
    if choices and value not in choices:
        raise SettingError(f"{variable}={text!r} is unknown: choose one of {', '.join(choices)}")
    return value
