"""What the service counts and times.

The workers share their metrics through files, one set a worker *slot*: a worker that takes the
place of another goes on with its files, so counters never fall and files do not pile up. What is
true of a moment rather than counted (the model in use) is asked of the worker that answers.
"""

import itertools
import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from flask_app.keys.store import Key
from flask_app.model.bands import NAMES as BANDS
from flask_app.model.bundle import Manifest
from flask_app.profiles import snapshot as profiles
from flask_app.serving.problems import PROBLEM_TYPES

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
LOAD_FAILURES = ("checksum", "golden-row", "bundle", "store", "internal")

PROBABILITIES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
INFERENCE_SECONDS = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.1)
WAIT_SECONDS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
REQUEST_SECONDS = (5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


def take_slot(slot: int, directory: Path) -> None:
    """Make the metrics that this process creates from here on those of a slot in `directory`."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


def free_slot(taken: Iterable[int]) -> int:
    """Return the lowest worker slot that is not among `taken`."""
    occupied = set(taken)
    return next(slot for slot in itertools.count() if slot not in occupied)


class _Workers(Collector):
    """What all workers have counted, added up from their files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        # A worker that is just starting may have created a file and not yet filled it.
        files = [str(path) for path in self._directory.glob("*.db") if path.stat().st_size]
        return MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call, no-any-return]


class _Worker(Collector):
    """What is true of this worker at the moment."""

    def __init__(self) -> None:
        self.model: tuple[Metric, ...] = ()
        self.profiles: tuple[Metric, ...] = ()
        self.keys: tuple[Metric, ...] = ()
        self.store_unreachable = False
        self.profile_store_unreachable = False

    def collect(self) -> Iterable[Metric]:
        yield from self.model
        yield from self.profiles
        yield from self.keys
        yield GaugeMetricFamily(
            "shill_authentication_enabled",
            "1 where requests need a key, 0 where that is switched off.",
            value=bool(self.keys),
        )
        yield GaugeMetricFamily(
            "shill_model_store_unreachable",
            "1 while the model store cannot be asked; what it held last is served.",
            value=self.store_unreachable,
        )
        yield GaugeMetricFamily(
            "shill_profile_store_unreachable",
            "1 while the store of profiles cannot be asked; what it held last is used.",
            value=self.profile_store_unreachable,
        )


class BatchHistogram(Histogram):
    """A histogram that takes a batch at the price of a few observations."""

    def observe_many(self, amounts: Sequence[float]) -> None:
        """Observe each of `amounts`, (n,)."""
        if len(amounts) == 1:
            self.observe(amounts[0])
            return
        self._sum.inc(sum(amounts))
        # Bucket i takes what is above bound i-1 and not above bound i.
        counts = np.bincount(np.searchsorted(self._upper_bounds, amounts)).tolist()
        for bucket, count in zip(self._buckets, counts, strict=False):
            if count:
                bucket.inc(count)


class ServiceMetrics:
    """The service's metrics; docs/metrics.md describes each.

    Attributes:
        registry: What `/metrics` exposes.
        directory: Where workers share their metrics; None for a process that is alone.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        self.registry = CollectorRegistry()
        # Shared metrics are read back from the files of all workers, this one's included.
        own = self.registry if directory is None else None
        if directory is not None:
            self.registry.register(_Workers(directory))
        self._worker = _Worker()
        self.registry.register(self._worker)
        self.predictions = Counter(
            "shill_predictions",
            "Records scored.",
            ["model_version", "outcome"],
            registry=own,
        )
        self.bands = Counter(
            "shill_band_predictions",
            "Records scored, by the band of their probability.",
            ["band"],
            registry=own,
        )
        self.prediction_errors = Counter(
            "shill_prediction_errors",
            "Prediction requests refused, by the name of the problem.",
            ["reason"],
            registry=own,
        )
        self.probability = BatchHistogram(
            "shill_prediction_probability",
            "Probabilities of shill bidding that were answered.",
            buckets=PROBABILITIES,
            registry=own,
        )
        self.inference = Histogram(
            "shill_inference_duration_seconds",
            "Time of one run of the model, which scores what arrived together.",
            buckets=INFERENCE_SECONDS,
            registry=own,
        )
        self.wait = BatchHistogram(
            "shill_prediction_wait_seconds",
            "Time from a prediction request's head to the turn in which it is scored.",
            buckets=WAIT_SECONDS,
            registry=own,
        )
        self.load_failures = Counter(
            "shill_model_load_failures",
            "Attempts of a worker to load the promoted model that failed.",
            ["reason"],
            registry=own,
        )
        self.profile_load_failures = Counter(
            "shill_profile_load_failures",
            "Attempts of a worker to load the promoted snapshot of the profiles that failed.",
            ["reason"],
            registry=own,
        )
        self.log_dropped = Counter(
            "shill_prediction_log_dropped",
            "Predictions that were answered but could not be logged.",
            registry=own,
        )
        self.log_sync_failures = Counter(
            "shill_prediction_log_sync_failures",
            "Attempts to force the prediction log or the label log to disk that failed.",
            registry=own,
        )
        self.key_requests = Counter(
            "shill_key_requests",
            "Requests with a key that is in force, and what became of them.",
            ["key", "outcome"],
            registry=own,
        )
        self._requests = BatchHistogram(
            "shill_http_request_duration_seconds",
            "Time from a request's headers until its answer is handed to the connection.",
            ["route", "method", "status"],
            buckets=REQUEST_SECONDS,
            registry=own,
        )
        self._request_series: dict[tuple[str, str, int], BatchHistogram] = {}
        # A counter that is born with its first count hides that count from `increase()`.
        for reason in LOAD_FAILURES:
            self.load_failures.labels(reason)
            self.profile_load_failures.labels(reason)
        for band in BANDS:
            self.bands.labels(band)
        for name in PROBLEM_TYPES:
            self.prediction_errors.labels(name)
        for status in (200, 500, 503):
            self._requests.labels("/predict", "POST", status)

    def use_model(self, manifest: Manifest, loaded_at: datetime) -> None:
        """Describe the model in use from now on."""
        info = GaugeMetricFamily(
            "shill_model_info",
            "The model in use.",
            labels=["version", "dataset", "estimator"],
        )
        info.add_metric([manifest.version, manifest.dataset.name, manifest.estimator], 1.0)
        loaded = GaugeMetricFamily(
            "shill_model_loaded_timestamp_seconds",
            "When the answering worker loaded it, Unix time.",
            value=loaded_at.timestamp(),
        )
        self._worker.model = (info, loaded)

    def use_profiles(self, manifest: profiles.Manifest) -> None:
        """Describe the snapshot of the profiles in use from now on."""
        info = GaugeMetricFamily(
            "shill_profiles_info", "The snapshot of the profiles in use.", labels=["version"]
        )
        info.add_metric([manifest.version], 1.0)
        until = GaugeMetricFamily(
            "shill_profiles_until_timestamp_seconds",
            "When the auctions that it adds up had closed, Unix time.",
            value=manifest.until.timestamp(),
        )
        self._worker.profiles = (info, until)

    def use_keys(self, keys: Iterable[Key], *, unreadable: bool) -> None:
        """Describe the keys that may ask from now on."""
        expiry = GaugeMetricFamily(
            "shill_key_expiry_timestamp_seconds",
            "When a key that is in force expires, Unix time.",
            labels=["key", "name"],
        )
        for key in keys:
            if key.expires_at and not key.revoked_at:
                expiry.add_metric([key.id, key.name], key.expires_at.timestamp())
        failing = GaugeMetricFamily(
            "shill_keys_unreadable",
            "1 while the keys cannot be read; those read last are in force.",
            value=unreadable,
        )
        self._worker.keys = (expiry, failing)

    def profile_store_unreachable(self, unreachable: bool) -> None:
        """Tell whether the store of profiles could not be asked lately."""
        self._worker.profile_store_unreachable = unreachable

    def store_unreachable(self, unreachable: bool) -> None:
        """Tell whether the model store could not be asked lately."""
        self._worker.store_unreachable = unreachable

    def observe_requests(
        self, route: str, method: str, status: int, seconds: Sequence[float]
    ) -> None:
        """Record answered requests, each by its time; `route` must come from a fixed set."""
        key = (route, method if method in METHODS else "other", status)
        series = self._request_series.get(key)
        if series is None:
            series = self._request_series[key] = self._requests.labels(*key)
        series.observe_many(seconds)
