"""Metrics in Prometheus' text format, for node exporter's textfile collector."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector


class Sample(NamedTuple):
    """A value of a metric; None stands for one that is not defined and so is left out."""

    name: str
    value: float | None
    labels: dict[str, str] = {}  # noqa: RUF012 - never changed


class _Gauges(Collector):
    """The families of samples that were measured before."""

    def __init__(self, samples: Iterable[Sample], meanings: Mapping[str, str]) -> None:
        self._families: dict[str, Metric] = {}
        for name, value, labels in samples:
            if value is not None:
                family = self._families.setdefault(name, Metric(name, meanings[name], "gauge"))
                family.add_sample(name, labels, value)

    def collect(self) -> Iterator[Metric]:
        yield from self._families.values()


def render(samples: Iterable[Sample], meanings: Mapping[str, str]) -> bytes:
    """Return gauges as text, each metric's samples together and below what it means."""
    registry = CollectorRegistry()
    registry.register(_Gauges(samples, meanings))
    return generate_latest(registry)
