"""The page on metrics tells what the job writes."""

import re
from pathlib import Path

from flask_app.drift.findings import FINDINGS
from flask_app.drift.metrics import RESULT_METRICS, RUN_METRICS

ROOT = Path(__file__).parents[3]


def test_every_metric_is_documented_and_nothing_else() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    job = page.partition("## The drift job")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)`", job, flags=re.MULTILINE)
    assert documented == [*RESULT_METRICS, *RUN_METRICS, *FINDINGS]
