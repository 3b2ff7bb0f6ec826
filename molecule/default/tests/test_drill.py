"""What may happen to the lab's host is done to it under traffic: the short form of `make drill`."""

import pytest

from demo.lab import Lab
from drill.events import EVENTS, Event
from drill.run import hold

RATE = 50.0


@pytest.mark.parametrize(
    "event", [event for event in EVENTS if event.short], ids=lambda event: event.name
)
def test_clients_notice_no_more_of_it_than_they_must(event: Event) -> None:
    figures = hold(Lab(), event, RATE, least=0)
    print(figures)  # noqa: T201 - worth a line in the report
    assert figures.requests > 0
    assert figures.lost == 0
    if event.unnoticed:
        assert (figures.refused, figures.failures) == (0, {})
