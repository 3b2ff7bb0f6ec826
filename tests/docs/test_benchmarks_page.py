"""The figures in docs/benchmarks.md and README.md are those that were measured."""

import json
from pathlib import Path

from bench.serving import report

ROOT = Path(__file__).parents[2]


def test_the_pages_show_the_measured_figures() -> None:
    run = json.loads((ROOT / "bench/serving/results.json").read_text())
    edge = json.loads((ROOT / "bench/edge/results.json").read_text())

    assert (ROOT / "docs/benchmarks.md").read_text() == report.page(run, edge)
    assert report.headline(run) in (ROOT / "README.md").read_text()
