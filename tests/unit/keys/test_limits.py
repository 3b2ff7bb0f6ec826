"""A key may ask as often as its rate says, averaged over a second, whichever worker answers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_app.keys.limits import RateLimits


def test_a_second_s_worth_may_come_at_once_and_then_the_rate() -> None:
    limits = RateLimits()
    assert [limits.take(0, 0.1, 100.0) for _ in range(10)] == [0.0] * 10
    assert limits.take(0, 0.1, 100.0) == pytest.approx(0.1)
    assert limits.take(0, 0.1, 100.11) == 0.0
    assert limits.take(0, 0.1, 100.11) > 0.0


def test_a_rate_below_one_a_second_lets_one_pass_at_a_time() -> None:
    limits = RateLimits()
    assert limits.take(0, 10.0, 5.0) == 0.0
    assert limits.take(0, 10.0, 5.0) == pytest.approx(10.0)
    assert limits.take(0, 10.0, 15.0) == 0.0


def test_keys_do_not_take_from_each_other() -> None:
    limits = RateLimits()
    assert limits.take(0, 1.0, 5.0) == 0.0
    assert limits.take(0, 1.0, 5.0) > 0.0
    assert limits.take(1, 1.0, 5.0) == 0.0


def test_workers_share_what_a_key_has_left(tmp_path: Path) -> None:
    one, other = (RateLimits(tmp_path / "limits") for _ in range(2))
    assert one.take(3, 1.0, 5.0) == 0.0
    assert other.take(3, 1.0, 5.0) > 0.0


@given(
    rate=st.floats(0.1, 1000.0),
    gaps=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200),
)
def test_never_more_than_the_rate_and_one_burst_pass(rate: float, gaps: list[float]) -> None:
    limits, now, passed = RateLimits(), 1000.0, 0
    for gap in gaps:
        now += gap
        passed += limits.take(0, 1.0 / rate, now) == 0.0
    elapsed = now - 1000.0 - gaps[0]
    assert passed <= elapsed * rate + max(rate, 1.0) + 1e-6
