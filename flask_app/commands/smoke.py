"""`smoke`: ask a running server for what it must answer and for what it must refuse.

By dry runs: the golden rows' extremes are no traffic, and drift must not be looked for in them.

Example:
    SHILL_API_KEY=shill_... shill smoke http://127.0.0.1:8000

Exit status: 0 every check is right, 1 a check failed or the server gives no answer.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from flask_app.client import Client
from flask_app.commands.model import BUNDLE, find
from flask_app.commands.table import table
from flask_app.errors import ApiError
from flask_app.model.bundle import Bundle, Manifest
from flask_app.model.predictor import GOLDEN_TOLERANCE
from flask_app.model.stores import open_store
from flask_app.settings import Settings

Check = tuple[str, str, bool]
"""What was checked, what was seen, whether that is right."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("url", help="of the server, such as http://127.0.0.1:8000")
    parser.add_argument("bundle", nargs="?", **BUNDLE)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each check; returns 1 if one of them failed."""
    settings = Settings.from_environment()
    store = open_store(settings)
    manifest = Bundle.open(find(store, arguments.bundle)).manifest
    # A connection each: old and new container may share the port.
    ask = partial(
        Client,
        arguments.url,
        dry_run=True,
        keep_alive=False,
        authority=settings.api_authority,
    )
    with ask(key=settings.api_key) as client, ask() as stranger:
        checks = [*_answers(manifest, client), *_refusals(manifest, client)]
        if client.ready().authentication == "keys":
            name, _ = _refusal(stranger, "/predict", b"{}")
            checks.append(("a request without a key is refused", name, name == "unauthenticated"))
    rows = [(name, seen, "ok" if right else "FAILED") for name, seen, right in checks]
    print(table(("check", "seen", "verdict"), rows))
    return 0 if all(right for *_, right in checks) else 1


def _answers(manifest: Manifest, client: Client) -> Iterator[Check]:
    """Check what must be answered, golden rows to the last."""
    yield "/health", client.health().status, True
    yield "/ready", client.ready().status, True
    version = client.model().version
    yield "/model is the bundle's", version, version == manifest.version

    golden = manifest.golden_rows
    records: list[dict[str, object]] = [{"auction_id": "smoke", **row.features} for row in golden]
    probability = client.predict(records[0]).probability
    right = abs(probability - golden[0].probability) <= GOLDEN_TOLERANCE
    yield "/predict, first golden row", f"{probability:.7f}", right
    differences = [
        abs(prediction.probability - row.probability)
        for prediction, row in zip(client.predict_batch(records), golden, strict=True)
    ]
    right = max(differences) <= GOLDEN_TOLERANCE
    seen = f"{len(differences)} of {len(golden)}, off by {max(differences):.0e} at most"
    yield "/predict_batch, all golden rows", seen, right


def _refusals(manifest: Manifest, client: Client) -> Iterator[Check]:
    """Check that bad requests are refused, with the path of what is wrong."""
    record: dict[str, Any] = {"auction_id": "smoke", **manifest.golden_rows[0].features}
    incomplete = {name: value for name, value in record.items() if name != "bidding_ratio"}
    cases: dict[str, tuple[str, object, str]] = {
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
        _, pointers = _refusal(client, path, body)
        yield f"{name} is refused", " ".join(pointers), pointers == (pointer,)
    name, _ = _refusal(client, "/predict", b"{")
    yield "broken JSON is refused", name, name == "malformed-json"


def _refusal(client: Client, path: str, body: object) -> tuple[str, tuple[str, ...]]:
    """Return the name of the problem that is answered, and its pointers."""
    try:
        client.post(path, body, msgspec.Raw)
    except ApiError as error:
        return error.name, error.pointers
    return "answered", ()
