"""Asking Prometheus what a dashboard asks it, its variables filled in as Grafana fills them."""

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from grafana_provisioning.names import DASHBOARDS

SCRAPE_SECONDS = 15.0
POINTS = 240

Labels = dict[str, str]


@dataclass(frozen=True)
class Series:
    """What one series of an answer holds: its labels, and pairs of time and value."""

    labels: Labels
    points: list[tuple[float, float]]

    @property
    def last(self) -> float:
        """The newest value that is a number."""
        values = (value for _, value in reversed(self.points) if not math.isnan(value))
        return next(values, math.nan)


class QueryError(Exception):
    """Prometheus refused a query, or did not answer."""


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus, and the range of time that a dashboard shows.

    Attributes:
        url: Where it answers.
        end: The dashboard's "now", Unix time.
        seconds: How far back it looks.
    """

    url: str
    end: float
    seconds: float

    def _ask(self, path: str, **parameters: str) -> Any:
        address = f"{self.url.rstrip('/')}/api/v1/{path}"
        body = urllib.parse.urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(address, body, timeout=60) as answer:  # noqa: S310
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            reason = json.load(error).get("error", error.reason)
            raise QueryError(f"{reason}: {parameters.get('query')}") from error
        except OSError as error:
            raise QueryError(f"{address} does not answer: {error}") from error

    @property
    def step(self) -> float:
        """Seconds between two points of a range."""
        return max(SCRAPE_SECONDS, math.ceil(self.seconds / POINTS / 15) * 15)

    def fill(self, expression: str) -> str:
        """Put values into an expression's variables: all hosts, all models, this range."""
        values = {
            "$__rate_interval": f"{max(self.step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS):.0f}s",
            "$__range": f"{self.seconds:.0f}s",
            "$instance": ".+",
            "$model_version": ".+",
        }
        for name, value in values.items():
            expression = expression.replace(name, value)
        return expression

    def run(self, target: dict[str, Any], step: float | None = None) -> list[Series]:
        """Run a panel's query; an instant one gives series of one point."""
        query = self.fill(target["expr"])
        if target.get("instant"):
            found = self._ask("query", query=query, time=str(self.end))
            return [Series(one["metric"], [_point(one["value"])]) for one in found]
        found = self._ask(
            "query_range",
            query=query,
            start=str(self.end - self.seconds),
            end=str(self.end),
            step=str(step or self.step),
        )
        return [Series(one["metric"], [_point(pair) for pair in one["values"]]) for one in found]


def _point(pair: list[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


def dashboards() -> list[dict[str, Any]]:
    """The committed dashboards."""
    return [json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))]


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """A dashboard's panels, rows left out."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]
