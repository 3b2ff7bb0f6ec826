"""The committed dashboards are the generator's, and keep to what a panel owes its reader."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from grafana_provisioning.__main__ import render
from grafana_provisioning.check import MAY_BE_EMPTY
from grafana_provisioning.dashboards import host, model, service
from grafana_provisioning.names import DASHBOARDS, REPORTS_URL
from grafana_provisioning.queries import dashboards, panels

ROOT = Path(__file__).parents[3]
MODULES = {"shill-model": model, "shill-service": service, "shill-host": host}
COMMITTED = {dashboard["uid"]: dashboard for dashboard in dashboards()}
PANELS = [
    pytest.param(panel, id=f"{uid}: {panel['title']}")
    for uid, dashboard in COMMITTED.items()
    for panel in panels(dashboard)
]


@pytest.mark.parametrize("uid", MODULES)
def test_what_is_committed_is_what_is_generated(uid: str) -> None:
    committed = (DASHBOARDS / f"{uid}.json").read_text()
    assert render(MODULES[uid].build()) == committed, "run python -m grafana_provisioning"


def test_there_are_these_dashboards_and_no_others() -> None:
    assert set(COMMITTED) == set(MODULES)


@pytest.mark.parametrize("uid", MODULES)
class TestDashboard:
    def test_it_can_be_turned_to_other_hosts_models_and_data_sources(self, uid: str) -> None:
        variables = {v["name"]: v for v in COMMITTED[uid]["templating"]["list"]}
        assert list(variables) == ["datasource", "instance", "model_version"]
        assert variables["datasource"]["current"]["value"] == "prometheus"
        assert variables["instance"]["multi"]

    def test_it_offers_a_choice_of_models_where_that_changes_something(self, uid: str) -> None:
        *_, model_version = COMMITTED[uid]["templating"]["list"]
        used = "$model_version" in json.dumps(COMMITTED[uid]["panels"])
        assert used is not (model_version.get("hide") == 2)

    def test_it_marks_model_changes_and_starts(self, uid: str) -> None:
        marks = {mark["name"]: mark for mark in COMMITTED[uid]["annotations"]["list"]}
        assert set(marks) == {"Model change", "Server start"}
        assert all(mark["datasource"]["uid"] == "$datasource" for mark in marks.values())

    def test_it_leads_to_the_others_and_to_the_reports(self, uid: str) -> None:
        urls = {link["url"] for link in COMMITTED[uid]["links"]}
        assert urls == {f"/d/{other}" for other in set(MODULES) - {uid}} | {f"{REPORTS_URL}/"}

    def test_its_panels_fill_the_grid_without_overlap(self, uid: str) -> None:
        taken: dict[tuple[int, int], str] = {}
        for panel in COMMITTED[uid]["panels"]:
            place = panel["gridPos"]
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    assert taken.setdefault((x, y), panel["title"]) == panel["title"]
        width, height = (max(cell[axis] for cell in taken) + 1 for axis in (0, 1))
        assert width == 24
        assert len(taken) == width * height

    def test_its_panels_are_numbered_apart(self, uid: str) -> None:
        numbers = [panel["id"] for panel in COMMITTED[uid]["panels"]]
        assert len(set(numbers)) == len(numbers)

    def test_its_counters_are_rated_over_what_holds_four_scrapes(self, uid: str) -> None:
        """Annotations and alerts' windows apart, for which Grafana has no such interval."""
        for panel in panels(COMMITTED[uid]):
            for target in panel["targets"]:
                spans = re.findall(r"\b(?:rate|increase)\(.*?\[(.+?)\]", target["expr"])
                allowed = {"$__range", "5m"} if target.get("instant") else {"$__rate_interval"}
                assert set(spans) <= allowed, panel["title"]


@pytest.mark.parametrize("panel", PANELS)
class TestPanel:
    def test_it_says_what_it_shows_and_in_what_unit(self, panel: dict[str, Any]) -> None:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]

    def test_it_has_thresholds(self, panel: dict[str, Any]) -> None:
        first = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]
        assert first["value"] is None, "thresholds begin with their lowest colour"

    def test_it_asks_the_data_source_that_was_chosen(self, panel: dict[str, Any]) -> None:
        chosen = {"type": "prometheus", "uid": "$datasource"}
        assert panel["datasource"] == chosen
        assert [target["datasource"] for target in panel["targets"]] == [chosen] * len(
            panel["targets"]
        )

    def test_it_asks_for_the_hosts_that_were_chosen(self, panel: dict[str, Any]) -> None:
        for target in panel["targets"]:
            selectors = re.findall(r"\{(.*?)\}", target["expr"])
            assert selectors
            assert all('instance=~"$instance"' in selector for selector in selectors)


def test_what_may_be_empty_exists() -> None:
    queries = {
        (uid, panel["title"], target["refId"])
        for uid, dashboard in COMMITTED.items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    }
    assert set(MAY_BE_EMPTY) <= queries
