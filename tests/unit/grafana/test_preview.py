"""Previews show what the JSON says, in Grafana's words and colours."""

import math
from pathlib import Path
from typing import Any

import pytest

from grafana_provisioning.preview import __main__ as command
from grafana_provisioning.preview.draw import LABEL, draw
from grafana_provisioning.preview.fields import Field, with_unit
from grafana_provisioning.preview.tables import table
from grafana_provisioning.queries import Prometheus, Series, dashboards, panels


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.12345, "none", None, "0.123"),
        (9.8765, "none", 1, "9.9"),
        (0.0, "none", None, "0"),
        (1234.0, "none", None, "1234"),
        (521_000, "short", None, "521 K"),
        (12, "short", None, "12"),
        (0.107, "percentunit", 0, "11%"),
        (0.0099, "s", 1, "9.9 ms"),
        (1200, "s", None, "20 mins"),
        (59_040, "s", 1, "16.4 hours"),
        (10_400, "Bps", None, "10.4 kB/s"),
        (1_795_499_376_655, "dateTimeAsIso", None, "2026-11-24 05:49"),
        (math.nan, "s", 1, "NaN"),
    ],
)
def test_numbers_have_their_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert with_unit(value, unit, decimals) == text


PANEL: dict[str, Any] = {
    "fieldConfig": {
        "defaults": {
            "unit": "none",
            "thresholds": {
                "steps": [{"value": None, "color": "green"}, {"value": 1, "color": "red"}]
            },
            "mappings": [
                {"type": "value", "options": {"0": {"text": "none", "color": "grey"}}},
                {
                    "type": "special",
                    "options": {"match": "null+nan", "result": {"text": "idle", "color": "grey"}},
                },
            ],
        },
        "overrides": [
            {
                "matcher": {"id": "byName", "options": "Age"},
                "properties": [
                    {"id": "unit", "value": "s"},
                    {"id": "color", "value": {"mode": "fixed", "fixedColor": "blue"}},
                    {"id": "custom.cellOptions", "value": {"type": "color-text"}},
                ],
            }
        ],
    }
}


def test_a_threshold_colours_what_reaches_it() -> None:
    field = Field(PANEL, "other")
    assert [field.color(value) for value in (0.99, 1.0)] == ["green", "red"]


def test_a_mapping_replaces_number_and_colour() -> None:
    field = Field(PANEL, "other")
    assert (field.text(0.0), field.color(0.0)) == ("none", "grey")
    assert (field.text(math.nan), field.color(math.nan)) == ("idle", "grey")


def test_an_override_is_for_its_series_alone() -> None:
    field = Field(PANEL, "Age")
    assert (field.text(90.0), field.color(90.0)) == ("1.5 mins", "blue")
    assert field.custom["cellOptions"] == {"type": "color-text"}


def test_a_table_joins_its_queries_and_names_its_columns() -> None:
    panel = {
        "targets": [{"refId": "A"}, {"refId": "B"}],
        "transformations": [
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "indexByName": {"host": 0, "Value #B": 1, "Value #A": 2},
                    "renameByName": {"host": "Host", "Value #A": "Last", "Value #B": "First"},
                },
            },
        ],
    }
    answers = {
        ref: [Series({"host": host}, [(0, value)]) for host, value in found.items()]
        for ref, found in {"A": {"x": 1.0, "y": 2.0}, "B": {"x": 3.0}}.items()
    }
    titles, rows = table(panel, answers)
    assert titles == ["Host", "First", "Last"]
    assert [[row.get(title) for title in titles] for row in rows] == [["x", 3, 1], ["y", None, 2]]


class Full(Prometheus):
    """Finds two series for each query."""

    def run(self, target: dict[str, Any], step: float | None = None) -> list[Series]:
        step = step or self.step
        times = [self.end] if target.get("instant") else [self.end - 3 * step, self.end]
        return [
            Series({"le": f"{n}", "feature": f"feature {n}"}, [(t, n + 0.5) for t in times])
            for n in range(2)
        ]


class Empty(Prometheus):
    """Finds nothing."""

    def run(self, *_: object, **__: object) -> list[Series]:
        return []


def texts(dashboard: dict[str, Any], prometheus: Prometheus) -> list[str]:
    """All that is written into the picture of a dashboard."""
    return [text.get_text() for text in draw(dashboard, prometheus).texts]


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
class TestDrawing:
    def test_it_shows_every_panel_and_says_that_it_is_not_grafana(
        self, dashboard: dict[str, Any]
    ) -> None:
        written = texts(dashboard, Full("", end=1e9, seconds=3600))
        assert {LABEL, *(panel["title"] for panel in dashboard["panels"])} <= set(written)

    def test_panels_that_find_nothing_say_so(self, dashboard: dict[str, Any]) -> None:
        written = texts(dashboard, Empty("", end=1e9, seconds=3600))
        silent = [text for text in written if text.lower().endswith("no data")]
        assert len(silent) == len(panels(dashboard))


def test_a_picture_is_written_for_each_dashboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = dashboards()[:1]
    monkeypatch.setattr(command, "Prometheus", Full)
    monkeypatch.setattr(command, "dashboards", lambda: one)
    monkeypatch.setattr("sys.argv", ["preview", f"--output={tmp_path}"])
    command.main()
    (picture,) = tmp_path.iterdir()
    assert picture.name == f"{one[0]['uid']}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
