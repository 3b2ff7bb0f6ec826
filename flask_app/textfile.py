"""Metrics in Prometheus' text format, for node exporter's textfile collector."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Sample(NamedTuple):
    """A value of a metric; None stands for one that is not defined and so is left out."""

    name: str
    value: float | None
    labels: dict[str, str] = {}  # noqa: RUF012 - never changed


def render(samples: Iterable[Sample], meanings: Mapping[str, str]) -> bytes:
    """Write gauges as text, each metric's samples together and below what it means."""
    families: dict[str, list[str]] = {}
    for name, value, labels in samples:
        lines = families.setdefault(name, [])
        if value is not None:
            pairs = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
            lines.append(f"{name}{{{pairs}}} {value!r}\n" if pairs else f"{name} {value!r}\n")
    return "".join(
        f"# HELP {name} {meanings[name]}\n# TYPE {name} gauge\n{''.join(lines)}"
        for name, lines in families.items()
        if lines
    ).encode()


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
