"""Prometheus understands every query of every dashboard."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana_provisioning.queries import Prometheus, dashboards, panels


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard["uid"])
def test_the_queries_are_sound(
    dashboard: dict[str, Any], tmp_path: Path, tool: Callable[[str], str]
) -> None:
    asked = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    asked += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    day = Prometheus("", end=0, seconds=86400)
    rules = [
        {"record": f"query:{number}", "expr": day.fill(expression)}
        for number, expression in enumerate(asked)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [tool("promtool"), "check", "rules", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
