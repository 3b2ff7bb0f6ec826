"""What a panel's JSON says of a value: its text, its unit, its colour."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

# Grafana's named colours, as far as dashboards here use them, and its palette for lines.
COLORS = {
    "semi-dark-green": "#56A64B",
    "semi-dark-yellow": "#E0B400",
    "semi-dark-orange": "#FF780A",
    "semi-dark-red": "#E02F44",
    "semi-dark-blue": "#3274D9",
    "semi-dark-purple": "#A352CC",
    "transparent": "#FFFFFF00",
}
PALETTE = (
    "#73BF69",
    "#E0B400",
    "#8AB8FF",
    "#FF780A",
    "#F2495C",
    "#5794F2",
    "#B877D9",
    "#705DA0",
    "#37872D",
    "#C4162A",
)
THOUSAND = 1000.0
TIMES = (
    (365 * 86400.0, "years"),
    (7 * 86400.0, "weeks"),
    (86400.0, "days"),
    (3600.0, "hours"),
    (60.0, "mins"),
    (1.0, "s"),
    (1e-3, "ms"),
    (1e-6, "µs"),
)


def _number(value: float, decimals: float | None) -> str:
    if decimals is not None:
        return f"{value:.{int(decimals)}f}"
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def _scaled(value: float, decimals: float | None, units: tuple[str, ...]) -> str:
    *smaller, largest = units
    for unit in smaller:
        if abs(value) < THOUSAND:
            return _number(value, decimals) + unit
        value /= THOUSAND
    return _number(value, decimals) + largest


def _time(value: float, decimals: float | None) -> str:
    size, name = next((one for one in TIMES if abs(value) >= one[0]), (1.0, "s"))
    return f"{_number(value / size, decimals)} {name}"


def _date(value: float, _: float | None) -> str:
    return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M")


UNITS: dict[str, Callable[[float, float | None], str]] = {
    "none": _number,
    "short": lambda value, decimals: _scaled(value, decimals, ("", " K", " Mil", " Bil")),
    "percentunit": lambda value, decimals: f"{_number(100 * value, decimals)}%",
    "s": _time,
    "Bps": lambda value, decimals: _scaled(value, decimals, (" B/s", " kB/s", " MB/s", " GB/s")),
    "dateTimeAsIso": _date,
}


def with_unit(value: float, unit: str, decimals: float | None = None) -> str:
    """A number as Grafana writes it."""
    return "NaN" if math.isnan(value) else UNITS[unit](value, decimals)


class Field:
    """The settings of one series or column: the panel's defaults under its overrides."""

    def __init__(self, panel: dict[str, Any], name: str) -> None:
        config = panel["fieldConfig"]
        self._defaults = dict(config["defaults"])
        self.custom = dict(self._defaults.get("custom") or {})
        for override in config["overrides"]:
            if override["matcher"] == {"id": "byName", "options": name}:
                for one in override["properties"]:
                    section, _, key = one["id"].rpartition(".")
                    (self.custom if section else self._defaults)[key] = one["value"]

    def get(self, name: str, default: Any = None) -> Any:
        """A setting by its name in the JSON."""
        return self._defaults.get(name, default)

    def _mapping(self, value: float) -> dict[str, Any]:
        for mapping in self.get("mappings") or []:
            options = mapping["options"]
            if mapping["type"] == "special" and math.isnan(value):
                return dict(options["result"])
            if mapping["type"] == "value" and f"{value:g}" in options:
                return dict(options[f"{value:g}"])
        return {}

    def text(self, value: float) -> str:
        """The value as it is shown."""
        mapped = self._mapping(value).get("text")
        return str(mapped or with_unit(value, self.get("unit", "none"), self.get("decimals")))

    @property
    def steps(self) -> list[tuple[float, str]]:
        """Thresholds, lowest first: from this value on, this colour."""
        return [
            (-math.inf if step["value"] is None else step["value"], hexadecimal(step["color"]))
            for step in self.get("thresholds")["steps"]
        ]

    @property
    def fixed(self) -> str | None:
        """The colour that does not depend on the value."""
        color = self.get("color") or {}
        return hexadecimal(color["fixedColor"]) if color.get("mode") == "fixed" else None

    def color(self, value: float) -> str:
        """The value's colour: that of its mapping, its own, or that of its threshold."""
        mapped = self._mapping(value).get("color")
        if mapped:
            return hexadecimal(mapped)
        reached = [color for limit, color in self.steps if not value < limit]
        return self.fixed or reached[-1]


def hexadecimal(color: str) -> str:
    """A colour of Grafana as matplotlib knows it."""
    return COLORS.get(color, color)
