"""The rows and columns of a table panel, its transformations applied."""

import math
from typing import Any

from grafana_provisioning.queries import Series

Row = dict[str, str | float]


def table(panel: dict[str, Any], answers: dict[str, list[Series]]) -> tuple[list[str], list[Row]]:
    """Column titles in order, and rows by title."""
    many = len(panel["targets"]) > 1
    rows: list[Row] = []
    for ref, found in answers.items():
        value = f"Value #{ref}" if many else "Value"
        for series in found:
            row: Row = {"Time": "", **series.labels, value: series.last}
            rows.append(row)
    steps = {step["id"]: step["options"] for step in panel.get("transformations", [])}
    if "merge" in steps:
        rows = _merged(rows)
    options: dict[str, Any] = steps.get("organize", {})
    hidden = {name for name, out in options.get("excludeByName", {}).items() if out}
    places = options.get("indexByName", {})
    names = dict.fromkeys(name for row in rows for name in row if name not in hidden)
    order = sorted(names, key=lambda name: places.get(name, math.inf))
    titles = options.get("renameByName", {})
    shown = [{titles.get(name, name): row[name] for name in row} for row in rows]
    return [titles.get(name, name) for name in order], shown


def _merged(rows: list[Row]) -> list[Row]:
    """Rows with the same labels become one."""
    merged: dict[tuple[tuple[str, str | float], ...], Row] = {}
    for row in rows:
        labels = tuple(sorted((k, v) for k, v in row.items() if not k.startswith("Value")))
        merged.setdefault(labels, {}).update(row)
    return list(merged.values())
