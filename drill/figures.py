"""What an event did to the requests that came in meanwhile."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from drill.traffic import Request

COLUMNS = "{:<44}{:>9}{:>9}{:>9}{:>7}{:>6}{:>8}"
HEADS = ("event", "requests", "refused", "failed", "p99", "lost", "back, s")


@dataclass(frozen=True)
class Figures:
    """Of one event.

    Attributes:
        event: Its name.
        requests: Sent between its beginning and the end of what it caused.
        refused: Of these, answered with 429 or 503 and `Retry-After`.
        failed: Of these, neither answered nor refused.
        p99_ratio: 99th percentile of the seconds until an answer, by that of the quiet before.
        lost: Acknowledged predictions that are not in the prediction log.
        back_seconds: From the first request that was not answered to the last, s.
        failures: What became of those that failed, and how often.
    """

    event: str
    requests: int
    refused: int
    failed: int
    p99_ratio: float
    lost: int
    back_seconds: float
    failures: dict[str, int]

    def __str__(self) -> str:
        return COLUMNS.format(
            self.event,
            f"{self.requests:,}",
            f"{self.refused:,}",
            f"{self.failed:,}",
            f"{self.p99_ratio:.1f}",
            self.lost,
            f"{self.back_seconds:.1f}",
        )


def figures(
    event: str, quiet: Sequence[Request], during: Sequence[Request], logged: set[str]
) -> Figures:
    """Return what became of the requests `during` an event, beside those of the `quiet` before.

    Args:
        event: Its name.
        quiet: At least two that were answered.
        during: Likewise.
        logged: Ids of all predictions in the log.
    """
    disturbed = [request for request in during if not request.prediction_id]
    return Figures(
        event,
        len(during),
        sum(request.refused for request in disturbed),
        sum(not request.refused for request in disturbed),
        _p99(during) / _p99(quiet),
        sum(request.prediction_id not in logged for request in during if request.prediction_id),
        _span(disturbed),
        dict(Counter(request.failure for request in disturbed if request.failure)),
    )


def table(rows: Sequence[Figures]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| Event | Requests | Refused | Failed | p99 / quiet | Lost | Back after |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.event} | {row.requests:,} | {row.refused:,} | {row.failed:,} | "
        f"{row.p99_ratio:.1f} | {row.lost} | {row.back_seconds:.1f} s |"
        for row in rows
    ]
    return "\n".join(lines)


def _p99(requests: Sequence[Request]) -> float:
    return quantiles((one.seconds for one in requests if one.prediction_id), n=100)[98]


def _span(requests: Sequence[Request]) -> float:
    if not requests:
        return 0.0
    return max(one.began + one.seconds for one in requests) - min(one.began for one in requests)
