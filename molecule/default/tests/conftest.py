"""What the tests of the lab share: questions to its API and to its Prometheus."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from demo.lab import Lab


@pytest.fixture(scope="session")
def ask() -> Callable[..., tuple[int, str, Any]]:
    """Ask the API; returns status, content type and JSON of the answer."""

    def run(path: str, body: object = None, key: str = Lab().key) -> tuple[int, str, Any]:
        request = urllib.request.Request(  # noqa: S310
            Lab().edge + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        )
        try:
            response = urllib.request.urlopen(request, timeout=10, context=Lab().trusted)  # noqa: S310
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return response.status, response.headers["Content-Type"], json.load(response)

    return run


@pytest.fixture(scope="session")
def health() -> Callable[[], dict[str, list[str]]]:
    """Ask Prometheus for the health of its targets, by job."""

    def read() -> dict[str, list[str]]:
        url = f"{Lab().prometheus}/api/v1/targets?state=active"
        found: dict[str, list[str]] = {}
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            for target in json.load(answer)["data"]["activeTargets"]:
                found.setdefault(target["labels"]["job"], []).append(target["health"])
        return found

    return read


@pytest.fixture(scope="session")
def up() -> dict[str, list[str]]:
    """The health of the lab's targets when all are up."""
    jobs = ("alertmanager", "docker", "model_server", "node", "prometheus", "review_desk")
    return {job: ["up"] for job in jobs}
