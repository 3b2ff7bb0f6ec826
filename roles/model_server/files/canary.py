"""Compares a candidate, which gets a share of the requests, with the server that gets the others.

Arguments: URLs of both, for how many seconds, and how many requests the candidate must have had.
Looks every other second at what both have answered to predictions since the beginning. Prints JSON;
`fault` says why the candidate must not take over, as soon as that is known. Standard library only:
the role model_server runs it on the host.
"""

import json
import re
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

PAUSE_SECONDS = 2
ROUTES = {"/predict", "/predict_batch", "/score_auction"}
SAMPLE = re.compile(r"(shill_\w+)\{(.*)\} (\S+)")
LABEL = re.compile(r'(\w+)="([^"]*)"')

MORE_REFUSED = 0.02
"""How much larger the share of answers that are no success may be."""
CHANCE = 5
"""How many of them more there must be at least: a few may be anybody's."""
SLOWER = 4.0
"""How many times larger the 95th percentile of the time may be, where it is not SHORT_SECONDS."""
SHORT_SECONDS = 0.5


@dataclass
class Answers:
    """What a server has answered to predictions.

    Attributes:
        by_status: How many answers, by the first digit of their status.
        within: How many took at most so many seconds.
        flagged: How many records were called shill.
        scored: How many records were scored.
    """

    by_status: Counter[str] = field(default_factory=Counter)
    within: Counter[float] = field(default_factory=Counter)
    flagged: float = 0
    scored: float = 0

    @classmethod
    def of(cls, metrics: str) -> "Answers":
        """Read them from what `/metrics` says."""
        answers = cls()
        for name, labelled, value in SAMPLE.findall(metrics):
            labels = dict(LABEL.findall(labelled))
            if name == "shill_predictions_total":
                answers.scored += float(value)
                answers.flagged += float(value) if labels["outcome"] == "shill" else 0
            elif labels.get("route") not in ROUTES:
                continue
            elif name == "shill_http_request_duration_seconds_count":
                answers.by_status[labels["status"][0]] += int(float(value))
            elif name == "shill_http_request_duration_seconds_bucket":
                answers.within[float(labels["le"])] += int(float(value))
        return answers

    def __sub__(self, earlier: "Answers") -> "Answers":
        by_status, within = Counter(self.by_status), Counter(self.within)
        by_status.subtract(earlier.by_status)
        within.subtract(earlier.within)
        return Answers(
            by_status, within, self.flagged - earlier.flagged, self.scored - earlier.scored
        )

    @property
    def total(self) -> int:
        """How many answers there were."""
        return sum(self.by_status.values())

    @property
    def refused(self) -> float:
        """Share of answers that are no success."""
        return 1 - self.by_status["2"] / self.total if self.total else 0.0

    @property
    def p95(self) -> float:
        """Bound of the bucket with the 95th percentile of the time, s."""
        bounds = sorted(self.within)
        return next((one for one in bounds if self.within[one] >= 0.95 * self.total), 0.0)

    def told(self) -> dict[str, Any]:
        """Return what a person wants to know."""
        flagged = self.flagged / self.scored if self.scored else 0.0
        return {
            "requests": self.total,
            "refused": round(self.refused, 4),
            "p95_seconds": self.p95,
            "flagged": round(flagged, 4),
        }


def refuses(candidate: Answers, current: Answers) -> str:
    """Return how much more the candidate refuses; empty where it does not."""
    more = candidate.refused - current.refused
    if more > MORE_REFUSED and more * candidate.total >= CHANCE:
        return (
            f"{candidate.refused:.1%} of the candidate's answers are no success, "
            f"{current.refused:.1%} of the others"
        )
    return ""


def is_slower(candidate: Answers, current: Answers) -> str:
    """Return how much slower the candidate is; empty where it is not."""
    if candidate.p95 > max(SLOWER * current.p95, SHORT_SECONDS):
        return (
            f"95 % of the candidate's answers take up to {candidate.p95:g} s, "
            f"of the others up to {current.p95:g} s"
        )
    return ""


def main(urls: list[str], seconds: float, least: int) -> dict[str, Any]:
    """Compare for so long, or until a fault is found; returns what to print."""

    def read() -> list[Answers]:
        texts = []
        for url in urls:
            with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310
                texts.append(answer.read().decode())
        return [Answers.of(text) for text in texts]

    end = time.monotonic() + seconds
    before = read()
    found = ""
    while True:
        time.sleep(PAUSE_SECONDS)
        try:
            candidate, current = (now - then for now, then in zip(read(), before, strict=True))
        except OSError as error:
            return {"fault": f"one of both does not answer: {error}"}
        if candidate.total >= least:
            found = refuses(candidate, current)
        if found or time.monotonic() > end:
            break
    if candidate.total < least:
        found = (
            f"only {candidate.total} of {least} requests came to the candidate: give it more time "
            "(model_server_canary_seconds), or be content with fewer (model_server_canary_requests)"
        )
    # A few slow answers at the beginning say nothing yet.
    found = found or is_slower(candidate, current)
    return {"fault": found, "candidate": candidate.told(), "current": current.told()}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:3], float(sys.argv[3]), int(sys.argv[4]))))  # noqa: T201
