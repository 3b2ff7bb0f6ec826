"""What the drill says an event did to the requests that came in meanwhile."""

from drill.figures import figures, table
from drill.traffic import Request

QUIET = [Request(float(second), 0.1, f"quiet-{second}") for second in range(10)]


def test_what_is_missing_in_the_log_is_lost() -> None:
    during = [Request(20.0, 0.1, "a"), Request(21.0, 0.1, "b")]
    assert figures("event", QUIET, during, {"a"}).lost == 1


def test_a_refusal_is_no_failure_and_both_count_until_all_is_well_again() -> None:
    during = [
        Request(20.0, 0.2, "a"),
        Request(21.0, 0.2, refused=True),
        Request(22.0, 0.5, failure="reset"),
        Request(23.0, 0.2, "b"),
    ]
    found = figures("event", QUIET, during, {"a", "b"})
    assert (found.requests, found.refused, found.failed, found.lost) == (4, 1, 1, 0)
    assert found.failures == {"reset": 1}
    assert found.back_seconds == 1.5
    assert found.p99_ratio == 2.0


def test_the_table_has_a_row_for_each_event() -> None:
    row = figures("the host reboots", QUIET, QUIET, set())
    assert table([row]).splitlines()[2:] == ["| the host reboots | 10 | 0 | 0 | 1.0 | 10 | 0.0 s |"]
