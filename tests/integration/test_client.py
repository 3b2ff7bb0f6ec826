"""The client speaks the API's language, and tells what went wrong."""

from collections.abc import Iterator

import pytest

from flask_app.client import Client
from flask_app.errors import ApiError, ServerUnreachable
from flask_app.log.lines import Label, LoggedLabel
from flask_app.record import Record
from tests.integration.server import RECORD, Server, free_port
from tests.traffic import LogReader


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


def test_records_are_scored_and_labelled(client: Client, server: Server) -> None:
    one = client.predict(RECORD)
    same, _ = client.predict_batch([Record(**RECORD), RECORD])
    assert same.probability == one.probability
    assert client.feedback({one.prediction_id: True}) == 1
    assert client.feedback([Label(prediction_id=same.prediction_id, is_shill=False)]) == 1
    labels = {
        label.prediction_id: label.is_shill
        for label in LogReader(server.log_dir / "labels", LoggedLabel)
    }
    assert (labels[one.prediction_id], labels[same.prediction_id]) == (True, False)


def test_a_prediction_is_explained_when_asked_for(client: Client) -> None:
    one = client.predict(RECORD, explain=True)
    (same,) = client.predict_batch([RECORD], explain=True)
    assert one.reasons
    assert one.reasons == same.reasons
    assert one.band == same.band


def test_the_server_describes_itself(client: Client) -> None:
    assert client.health().status == "alive"
    assert client.ready().model_version == client.model().version


def test_a_refusal_has_the_problem_s_name_and_pointers(client: Client) -> None:
    with pytest.raises(ApiError, match="above the maximum 1") as caught:
        client.predict(RECORD | {"bidding_ratio": 1.7})
    error = caught.value
    assert (error.status, error.name) == (422, "out-of-range")
    assert error.pointers == ("/bidding_ratio",)


def test_a_dry_run_is_not_logged(server: Server) -> None:
    with Client(server.url, dry_run=True) as client:
        prediction = client.predict(RECORD)
        assert client.feedback({prediction.prediction_id: True}) == 0
    assert prediction.prediction_id not in {line.prediction_id for line in server.logged()[0]}


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}", "127.0.0.1:{}", "nonsense", "http://["])
def test_no_answer_is_an_error_with_its_remedy(url: str) -> None:
    with (
        pytest.raises(ServerUnreachable, match="is the server up"),
        Client(url.format(free_port())) as client,
    ):
        client.health()
