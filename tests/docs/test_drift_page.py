"""The figures in docs/drift.md are those that were measured."""

import json
from pathlib import Path

from bench.drift import report

ROOT = Path(__file__).parents[2]


def test_the_page_shows_the_measured_figures() -> None:
    run = json.loads((ROOT / "bench/drift/results.json").read_text())

    page = (ROOT / "docs/drift.md").read_text()

    assert report.figures(run) in page


def test_what_was_to_be_reached_was() -> None:
    run = json.loads((ROOT / "bench/drift/results.json").read_text())

    assert [target.name for target in report.targets(run) if not target.reached] == []
