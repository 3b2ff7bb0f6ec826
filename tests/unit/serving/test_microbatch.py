"""Predictions of one turn share a run of the model, and nothing else."""

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from flask_app.log.lines import LoggedPrediction
from flask_app.serving import microbatch
from flask_app.serving.microbatch import FIRST_PACE, MOST_AT_ONCE, MicroBatch
from flask_app.serving.problems import Response
from flask_app.serving.rows import Rows
from flask_app.serving.scoring import Scores
from flask_app.serving.service import Service
from flask_app.serving.service_log import REQUEST_ID
from tests.traffic import LogReader
from tests.unit.serving.conftest import RECORD


def bodies(*ratios: float) -> list[bytes]:
    return [json.dumps(RECORD | {"winning_ratio": ratio}).encode() for ratio in ratios]


def answers(service: Service, sent: Sequence[bytes]) -> list[Response]:
    """Send all of `sent` in one turn of an event loop."""

    async def main() -> list[Response]:
        micro_batch = MicroBatch(service)
        return await asyncio.gather(
            *(micro_batch.answer(body, time.perf_counter(), unseen=1) for body in sent)
        )

    return asyncio.run(main())


def sample(service: Service, name: str, **labels: str) -> float | None:
    return service.metrics.registry.get_sample_value(name, labels)


def probability(response: Response) -> float:
    value: float = json.loads(response.body)["probability"]
    return value


def test_requests_of_one_turn_share_a_run_of_the_model_and_a_write(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    append = service._predictions.append

    def counted(lines: bytes, count: int = 1, *, durable: bool = False) -> bool:
        writes.append(count)
        return append(lines, count, durable=durable)

    monkeypatch.setattr(service._predictions, "append", counted)
    got = answers(service, bodies(0.1, 0.5, 0.9))
    assert [response.status for response in got] == [200, 200, 200]
    assert writes == [3]
    assert sample(service, "shill_inference_duration_seconds_count") == 1
    assert sample(service, "shill_prediction_probability_count") == 3
    counted_requests = {"route": "/predict", "method": "POST", "status": "200"}
    assert sample(service, "shill_http_request_duration_seconds_count", **counted_requests) == 3


def test_each_request_gets_its_own_answer_and_line(service: Service) -> None:
    ratios = (0.0, 0.3, 0.6, 1.0)
    together = answers(service, bodies(*ratios))
    alone = [answers(service, [body])[0] for body in bodies(*ratios)]
    assert [probability(one) for one in together] == pytest.approx(
        [probability(one) for one in alone], abs=1e-6
    )
    lines = list(LogReader(service.settings.log_dir, LoggedPrediction))
    assert [line.record.winning_ratio for line in lines] == [*ratios, *ratios]
    assert [line.prediction_id for line in lines] == [
        json.loads(response.body)["prediction_id"] for response in together + alone
    ]


def test_a_bad_record_is_refused_alone(service: Service) -> None:
    got = answers(service, [*bodies(0.1), b"{", *bodies(7.0), *bodies(0.9)])
    assert [response.status for response in got] == [200, 400, 422, 200]
    assert sample(service, "shill_prediction_errors_total", reason="malformed-json") == 1
    assert sample(service, "shill_prediction_errors_total", reason="out-of-range") == 1


def test_a_score_that_is_no_probability_fails_its_own_request_only(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert service.model is not None
    predictor = service.model.predictor

    class Faulty:
        """The model, which fails records without a won auction."""

        version, threshold = predictor.version, predictor.threshold

        def predict(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
            return np.where((rows == 0.0).any(axis=1), np.nan, predictor.predict(rows))

    monkeypatch.setattr(service.model, "predictor", Faulty())
    got = answers(service, [*bodies(0.1, 0.0, 0.9), b"{"])
    assert [response.status for response in got] == [200, 500, 200, 400]
    assert sample(service, "shill_prediction_errors_total", reason="invalid-score") == 1
    assert sample(service, "shill_prediction_errors_total", reason="malformed-json") == 1
    assert sample(service, "shill_prediction_probability_count") == 2


def test_a_lone_request_is_answered_at_once(service: Service) -> None:
    async def main() -> bool:
        return MicroBatch(service).answer(bodies(0.5)[0], time.perf_counter(), unseen=0).done()

    assert asyncio.run(main())


def test_a_client_that_has_gone_holds_up_nobody(service: Service) -> None:
    async def main() -> Response:
        micro_batch = MicroBatch(service)
        now = time.perf_counter()
        gone, waiting = (micro_batch.answer(body, now, unseen=1) for body in bodies(0, 1))
        gone.cancel()
        return await waiting

    assert asyncio.run(main()).status == 200


def test_what_would_wait_too_long_is_refused_at_once(service: Service) -> None:
    async def main() -> tuple[Response, Response]:
        micro_batch = MicroBatch(service)
        now = time.perf_counter()
        most = int(service.settings.max_wait_seconds / FIRST_PACE)
        refused = micro_batch.answer(bodies(0)[0], now, unseen=most + 1)
        assert refused.done()
        return await refused, await micro_batch.answer(bodies(0)[0], now, unseen=most)

    refused, answered = asyncio.run(main())
    assert (refused.status, refused.headers) == (503, (("Retry-After", "1"),))
    assert json.loads(refused.body)["type"] == "/docs/errors#overloaded"
    assert answered.status == 200
    assert sample(service, "shill_prediction_errors_total", reason="overloaded") == 1
    assert sample(service, "shill_prediction_wait_seconds_count") == 1


def test_whose_turn_comes_late_is_answered_nevertheless(service: Service) -> None:
    """As when the machine stood still: the time is lost, and there is no queue."""

    async def main() -> Response:
        late = time.perf_counter() - 2 * service.settings.max_wait_seconds
        return await MicroBatch(service).answer(bodies(0)[0], late, unseen=0)

    assert asyncio.run(main()).status == 200


def test_slow_turns_lower_how_many_may_wait_until_none_does(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = int(service.settings.max_wait_seconds / FIRST_PACE)
    sent = bodies(*[0.5] * (MOST_AT_ONCE + 1))

    async def main() -> list[bool]:
        micro_batch = MicroBatch(service)

        def is_refused(unseen: int) -> bool:
            return micro_batch.answer(sent[0], time.perf_counter(), unseen=unseen).done()

        for body in sent:
            micro_batch.answer(body, time.perf_counter(), unseen=1)
        refused = [is_refused(most - 100)]
        with monkeypatch.context() as patch:  # each reading is a second after the last
            patch.setattr(microbatch.time, "perf_counter", itertools.count().__next__)
            micro_batch._flush()
        refused.append(is_refused(most - 100))
        micro_batch._flush()
        assert not micro_batch._waiting
        return [*refused, is_refused(most - 100)]

    assert asyncio.run(main()) == [False, True, False]


def test_others_have_a_turn_between_more_than_are_scored_at_once(service: Service) -> None:
    async def main() -> list[int]:
        micro_batch = MicroBatch(service)
        now = time.perf_counter()
        sent = bodies(*(number / 200 for number in range(150)))
        waiting = [micro_batch.answer(body, now, unseen=1) for body in sent]
        turns = []
        while not all(answer.done() for answer in waiting):
            await asyncio.sleep(0)
            turns.append(sum(answer.done() for answer in waiting))
        return turns

    assert asyncio.run(main()) == [64, 128, 150]


def test_what_fails_is_logged_with_the_id_of_its_own_request(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[bytes] = []

    class Collect(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            logged.append(REQUEST_ID.get())

    score = service.model.score  # type: ignore[union-attr]

    def fail(rows: Rows) -> Scores:
        if 0.7 in rows.features.ravel().round(6):
            raise RuntimeError("on purpose")
        return score(rows)

    monkeypatch.setattr(service.model, "score", fail)
    problems = logging.getLogger("flask_app.serving.problems")
    problems.addHandler(handler := Collect())

    async def main() -> list[Response]:
        micro_batch = MicroBatch(service)
        return await asyncio.gather(
            *(
                micro_batch.answer(body, time.perf_counter(), unseen=1, request_id=request_id)
                for body, request_id in zip(
                    bodies(0.1, 0.7, 0.9), (b"one", b"two", b"three"), strict=True
                )
            )
        )

    try:
        statuses = [response.status for response in asyncio.run(main())]
    finally:
        problems.removeHandler(handler)
    assert statuses == [200, 500, 200]
    assert logged == [b"two"]
