"""A typed client of the API, for programs of your own.

    from flask_app.client import Client

    with Client("http://127.0.0.1:8000", key=key) as client:
        prediction = client.predict(record)
        if prediction.is_shill_bid:
            client.feedback({prediction.prediction_id: True})

Answers are the structs of `flask_app.serving.messages`. Needs the extra `client` (httpx).
"""

import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self, TypeVar

import httpx
import msgspec

from flask_app.errors import ApiError, ServerUnreachable, SettingError
from flask_app.log.lines import Label
from flask_app.record import Record
from flask_app.serving.messages import (
    DRY_RUN,
    EXPLAIN,
    Feedback,
    FeedbackReceipt,
    Health,
    ModelDescription,
    Prediction,
    Predictions,
    Readiness,
)
from flask_app.serving.problems import JSON, ProblemDetails

TIMEOUT_SECONDS = 10.0

AnyRecord = Record | Mapping[str, object]
"""A record, or its fields by name."""
Answer = TypeVar("Answer")


class Client:
    """Asks one server; keeps its connections until it is closed.

    Every method raises `ApiError` for an answer that is not a success, and `ServerUnreachable`
    where there is none.

    Args:
        url: Of the server, such as http://127.0.0.1:8000.
        dry_run: Have the server log and count nothing of what is sent.
        timeout: How long to wait for the server, s.
        keep_alive: Whether to use a connection for more than one request. Behind a deploy, two
            servers share the port, and a kept connection reaches the same one each time.
        key: Of the API; empty where it needs none.
        authority: PEM file of the authority that vouches for an https URL; empty: those that Python
            trusts.
    """

    def __init__(
        self,
        url: str,
        *,
        dry_run: bool = False,
        timeout: float = TIMEOUT_SECONDS,
        keep_alive: bool = True,
        key: str = "",
        authority: str | Path = "",
    ) -> None:
        self.url = url.rstrip("/")
        self._parameters = {DRY_RUN: "true"} if dry_run else {}
        limits = httpx.Limits() if keep_alive else httpx.Limits(max_keepalive_connections=0)
        try:
            trusted = ssl.create_default_context(cafile=authority or None)
        except OSError as error:
            raise SettingError(
                f"{authority} has no certificate ({error}): name a PEM file"
            ) from None
        try:
            self._http = httpx.Client(
                verify=trusted,
                base_url=self.url,
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=timeout,
                limits=limits,
                trust_env=False,
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise _unreachable(self.url, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def predict(self, record: AnyRecord, *, explain: bool = False) -> Prediction:
        """Score one record, with band and reasons if asked to `explain`."""
        return self.post("/predict", record, Prediction, explain=explain)

    def predict_batch(
        self, records: Iterable[AnyRecord], *, explain: bool = False
    ) -> list[Prediction]:
        """Score records, in their order, all of them or none; at most 50 get reasons."""
        answer = self.post("/predict_batch", list(records), Predictions, explain=explain)
        return answer.predictions

    def feedback(self, labels: Mapping[str, bool] | Iterable[Label]) -> int:
        """Send labels: whether each prediction's bidder was a shill; returns how many are kept.

        Args:
            labels: By the prediction's id, or with the time at which each became known.
        """
        if isinstance(labels, Mapping):
            labels = [Label(prediction_id=key, is_shill=value) for key, value in labels.items()]
        return self.post("/feedback", Feedback(list(labels)), FeedbackReceipt).recorded

    def health(self) -> Health:
        """Tell whether the process answers."""
        return self.get("/health", Health)

    def ready(self) -> Readiness:
        """Tell whether it can serve predictions, and with what."""
        return self.get("/ready", Readiness)

    def model(self) -> ModelDescription:
        """Describe the model in use."""
        return self.get("/model", ModelDescription)

    def metrics(self) -> str:
        """Return the metrics of all workers, in Prometheus' text format."""
        return self._ask("GET", "/metrics").text

    def get(self, path: str, kind: type[Answer]) -> Answer:
        """Get `path` as a `kind`."""
        return self._decoded("GET", path, kind)

    def post(self, path: str, body: object, kind: type[Answer], *, explain: bool = False) -> Answer:
        """Post `body`, JSON already if it is bytes, and decode the answer as a `kind`."""
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        parameters = self._parameters | ({EXPLAIN: "true"} if explain else {})
        return self._decoded("POST", path, kind, content, parameters)

    def _decoded(
        self,
        method: str,
        path: str,
        kind: type[Answer],
        content: bytes | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = self._ask(method, path, content, parameters)
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except msgspec.DecodeError as error:
            raise _unreachable(f"{self.url}{path}", error) from error

    def _ask(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            answer = self._http.request(
                method, path, content=content, headers={"Content-Type": JSON}, params=parameters
            )
            if answer.is_success:
                return answer
            details = msgspec.json.decode(answer.content, type=ProblemDetails)
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError) as error:
            raise _unreachable(f"{self.url}{path}", error) from error
        name = details.type.rpartition("#")[2]
        pointers = tuple(error.pointer for error in details.errors)
        raise ApiError(f"{details.title}: {details.detail}", details.status, name, pointers)


def _unreachable(url: str, error: Exception) -> ServerUnreachable:
    return ServerUnreachable(f"{url} gives no answer of this API ({error}): is the server up?")
