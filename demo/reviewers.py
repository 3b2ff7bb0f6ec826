"""The reviewers, who work at the desk as people do in a browser, and are never wrong."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx

from demo.lab import SECONDS, LabError, wait_for

AT_ONCE = 4
QUEUES = ("/", "/?drawn=1")
"""What is flagged, and the random sample of what is not."""

_LISTED = re.compile('data-prediction="([^"]+)"')


def review(desk: str, truth: Mapping[str, bool], last_auction: str) -> int:
    """Decide on everybody in the queue and in the random sample.

    Args:
        desk: Its URL.
        truth: Whether each prediction's bidder is a shill, by its id.
        last_auction: What was asked about last.

    Returns:
        How many decisions were made.

    Raises:
        LabError: The desk does not show a prediction, or refuses a decision.
    """
    decisions = 0
    with (
        httpx.Client(base_url=desk, timeout=SECONDS, trust_env=False) as browser,
        ThreadPoolExecutor(AT_ONCE) as reviewers,
    ):
        wait_for("the desk to read the log", lambda: knows(desk, last_auction))
        for queue in QUEUES:
            # What is decided is listed no more.
            while listed := _listed(browser, queue):
                list(reviewers.map(partial(_decide, browser, truth), listed))
                decisions += len(listed)
    return decisions


def knows(desk: str, auction: str) -> bool:
    """Tell whether the desk lists an auction whose name begins so."""
    with httpx.Client(base_url=desk, timeout=SECONDS, trust_env=False) as browser:
        return bool(_listed(browser, f"/?band=all&state=all&text={auction}"))


def _listed(browser: httpx.Client, page: str) -> list[str]:
    """Return the ids of the predictions that a page of the desk lists."""
    return _LISTED.findall(_ask(browser.build_request("GET", page), browser))


def _decide(browser: httpx.Client, truth: Mapping[str, bool], prediction_id: str) -> None:
    """Make a decision; of what is not of this day nobody knows the truth, so it is skipped."""
    verdict = {True: "shill", False: "honest", None: "skip"}[truth.get(prediction_id)]
    form = {"prediction_id": prediction_id, "verdict": verdict, "reviewer": "demo"}
    _ask(browser.build_request("POST", "/decisions", data=form), browser)


def _ask(request: httpx.Request, browser: httpx.Client) -> str:
    try:
        answer = browser.send(request)
    except httpx.HTTPError as error:
        raise LabError(f"{request.url}: {error}: is the lab up? `make up`") from error
    if answer.is_error:
        raise LabError(f"{request.url}: {answer.status_code}: {answer.text}")
    return answer.text
