"""`smoke`: ask a running server for what it must answer and for what it must refuse."""

import argparse
import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from flask_app.commands.model import BUNDLE, find
from flask_app.commands.table import table
from flask_app.errors import ShillError
from flask_app.model.bundle import Bundle, Manifest
from flask_app.model.predictor import GOLDEN_TOLERANCE
from flask_app.model.stores import open_store
from flask_app.settings import Settings

TIMEOUT_SECONDS = 10.0

Ask = Callable[..., tuple[int, Any]]
"""Send a body, or GET without one; returns the status and the decoded JSON."""
Check = tuple[str, str, bool]
"""What was checked, what was seen, whether that is right."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("url", help="of the server, such as http://127.0.0.1:8000")
    parser.add_argument("bundle", nargs="?", **BUNDLE)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each check; returns 1 if one of them failed."""
    store = open_store(Settings.from_environment())
    manifest = Bundle.open(find(store, arguments.bundle)).manifest
    checks = [
        *_answers(manifest, _client(arguments.url)),
        *_refusals(manifest, _client(arguments.url)),
    ]
    rows = [(name, seen, "ok" if right else "FAILED") for name, seen, right in checks]
    print(table(("check", "seen", "verdict"), rows))
    return 0 if all(right for *_, right in checks) else 1


def _client(url: str) -> Ask:
    address = urlsplit(url)
    if address.scheme != "http" or not address.hostname:
        raise ShillError(f"{url!r} is not the URL of a server: give one like http://127.0.0.1:8000")

    def ask(path: str, body: str | None = None) -> tuple[int, Any]:
        # A connection each: old and new container may share the port.
        connection = HTTPConnection(address.netloc, timeout=TIMEOUT_SECONDS)
        try:
            method = "GET" if body is None else "POST"
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise ShillError(f"{url}{path} gives no answer ({error}): is the server up?") from error
        finally:
            connection.close()

    return ask


def _answers(manifest: Manifest, ask: Ask) -> Iterator[Check]:
    """Check what must be answered, golden rows to the last."""
    for path in ("/health", "/ready"):
        status, _ = ask(path)
        yield path, str(status), status == HTTPStatus.OK
    status, model = ask("/model")
    version = model.get("version", status)
    yield "/model is the bundle's", str(version), version == manifest.version

    golden = manifest.golden_rows
    records = [{"auction_id": "smoke", **row.features} for row in golden]
    status, prediction = ask("/predict", json.dumps(records[0]))
    probability = prediction.get("probability", float("nan"))
    right = abs(probability - golden[0].probability) <= GOLDEN_TOLERANCE
    yield "/predict, first golden row", f"{status}, {probability:.7f}", right
    status, batch = ask("/predict_batch", json.dumps(records))
    differences = [
        abs(prediction["probability"] - row.probability)
        for prediction, row in zip(batch.get("predictions", []), golden, strict=False)
    ]
    right = len(differences) == len(golden) and max(differences) <= GOLDEN_TOLERANCE
    seen = f"{status}, {len(differences)} of {len(golden)}"
    if differences:
        seen += f", off by {max(differences):.0e} at most"
    yield "/predict_batch, all golden rows", seen, right


def _refusals(manifest: Manifest, ask: Ask) -> Iterator[Check]:
    """Check that bad requests are refused, with the path of what is wrong."""
    record = {"auction_id": "smoke", **manifest.golden_rows[0].features}
    incomplete = {name: value for name, value in record.items() if name != "bidding_ratio"}
    cases = {
        "a value out of range": ("/predict", {**record, "bidding_ratio": 1.7}, "/bidding_ratio"),
        "a missing field": ("/predict", incomplete, "/bidding_ratio"),
        "an unknown field": ("/predict", {**record, "bid": 1}, "/bid"),
        "a bad record in a batch": (
            "/predict_batch",
            [record, {**record, "winning_ratio": "high"}],
            "/1/winning_ratio",
        ),
    }
    for name, (path, body, pointer) in cases.items():
        status, problem = ask(path, json.dumps(body))
        pointers = [error["pointer"] for error in problem.get("errors", [])]
        yield f"{name} is refused", f"{status} {' '.join(pointers)}", pointers == [pointer]
    status, problem = ask("/predict", "{")
    title = problem.get("title", "")
    yield "broken JSON is refused", f"{status} {title}", status == HTTPStatus.BAD_REQUEST
