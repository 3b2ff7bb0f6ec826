"""docs/alerts.md says how often two false alarms come in a row; this simulates it anew."""

import re
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"
RUNS_A_DAY = 48
RUNS = 4_000_000
NEW = {"all": 1, "a half": 2, "a quarter": 4, "a twelfth": 12, "1 in 48": 48}


def days_between_tickets(parts: int) -> tuple[float, float]:
    """Days between false tickets at one run and at two, when a window holds `parts` runs' worth."""
    steps = np.random.default_rng(20).standard_normal(RUNS + parts)
    sums = np.concatenate([[0.0], np.cumsum(steps)])
    scores = (sums[parts:] - sums[:-parts]) / np.sqrt(parts)
    alarm = scores > NormalDist().inv_cdf(0.99)
    one = alarm[2:] & ~alarm[1:-1]
    two = alarm[2:] & alarm[1:-1] & ~alarm[:-2]
    return 1 / (one.mean() * RUNS_A_DAY), 1 / (two.mean() * RUNS_A_DAY)


@pytest.mark.parametrize("new", NEW)
def test_the_page_tells_how_often_a_ticket_is_false(new: str) -> None:
    page = PAGE.read_text()
    (row,) = re.findall(rf"^\|[^|]*\| {new} \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE)
    assert days_between_tickets(NEW[new]) == pytest.approx(tuple(map(float, row)), rel=0.15)
