"""What one worker serves, free of any web framework: request body in, response out."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Literal, NamedTuple, Self, TypeVar, cast
from urllib.parse import parse_qs

import msgspec
from msgspec import UNSET, Raw
from msgspec.structs import asdict

from flask_app.log.lines import LoggedLabel, LoggedPrediction
from flask_app.log.retention import Retention
from flask_app.log.segment import LABELS
from flask_app.log.writer import SegmentWriter
from flask_app.model.predictor import Predictor
from flask_app.model.stores import ModelStore
from flask_app.profiles.live import LiveRecord
from flask_app.profiles.live import records as live_records
from flask_app.profiles.snapshot import Profiles, ProfileStore
from flask_app.record import FEATURES, Record
from flask_app.serving.access import Access
from flask_app.serving.auctions import Followed, follow_auction, record_of
from flask_app.serving.messages import (
    FeedbackReceipt,
    Health,
    ModelDescription,
    Prediction,
    ProfilesInUse,
    Readiness,
    ScoredAuction,
    ScoredBidder,
)
from flask_app.serving.metrics import ServiceMetrics
from flask_app.serving.ndjson import NDJSON, slices_of_lines
from flask_app.serving.problems import JSON, Problem, Response, problem_of
from flask_app.serving.reloader import Reloader
from flask_app.serving.rows import SLICE_ROWS, Rows, fits_into_lines
from flask_app.serving.scoring import LoadedModel, Scores, least_explained
from flask_app.serving.service_log import REQUEST_ID
from flask_app.serving.validation import BodyDecoder
from flask_app.settings import Settings

PREDICT = "/predict"

LARGE_BODY_BYTES = 64 * 2**10
"""Bodies beyond this do not hold up small ones: they are handled in slices, or in a thread. They
count as in flight until they are answered."""

Item = TypeVar("Item")
Decoded = TypeVar("Decoded")

_encoder = msgspec.json.Encoder()


class Operation(NamedTuple):
    """What a request with a body asks for.

    Attributes:
        run: Takes the body and what the query asks for; raises `Problem`.
        predicts: Whether its refusals are those of predictions.
        takes: Media types of its body; JSON lines are answered line by line, as they arrive.
    """

    run: Callable[[bytes, "Query"], Awaitable[Response]]
    predicts: bool = True
    takes: tuple[str, ...] = (JSON,)

    def streams(self, content_type: str) -> bool:
        """Whether a body of this type is answered line by line."""
        return NDJSON in self.takes and media_type(content_type) == NDJSON


class Query(NamedTuple):
    """What a request's query string asks for.

    Attributes:
        dry_run: To be answered, but neither logged nor counted.
        explain: For bands and reasons; None: as the operation does unless told.
    """

    dry_run: bool = False
    explain: bool | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a query string; raises `Problem` if it does not say yes or no."""
        if not text:
            return cls()
        found = parse_qs(text, keep_blank_values=True)
        return cls(**{name: _flag(name, found[name]) for name in cls._fields if name in found})


_PLAIN = Query()


def _flag(name: str, values: list[str]) -> bool:
    if values not in (["true"], ["false"]):
        raise Problem("bad-request", f"{name} is {', '.join(values)}: set it to true or false")
    return values == ["true"]


class RequestHead(NamedTuple):
    """What of a request's head decides how its body is taken."""

    content_type: str
    content_encoding: str
    query: str


class Service:
    """A worker's model, logs and metrics, and the operations of the API on them.

    A dry run is answered as any other request, but neither logged nor counted.

    Attributes:
        operations: Those that take a body, by path.
        access: Checks keys; None where that is switched off.

    Args:
        settings: Limits, and where the logs are.
        store: Where the promoted model comes from.
        profile_store: Likewise the profiles of bidders.
        metrics: What the operations count and time.
    """

    def __init__(
        self,
        settings: Settings,
        store: ModelStore,
        profile_store: ProfileStore,
        metrics: ServiceMetrics,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.model: LoadedModel | None = None
        self.profiles: Profiles | None = None
        self._reloader = Reloader(
            "model",
            store,
            settings.look_seconds(settings.model_store),
            load=Predictor.load,
            use=self._use,
            failures=metrics.load_failures,
            tell_unreachable=metrics.store_unreachable,
            pinned=settings.model_version,
        )
        self._profile_reloader = Reloader(
            "snapshot of the profiles",
            profile_store,
            settings.look_seconds(settings.profile_store),
            load=Profiles.load,
            use=self._use_profiles,
            failures=metrics.profile_load_failures,
            tell_unreachable=metrics.profile_store_unreachable,
        )
        self._predict_one = Operation(self.predict)
        self.operations = {
            PREDICT: self._predict_one,
            "/predict_batch": Operation(self.predict_batch, takes=(JSON, NDJSON)),
            "/score_auction": Operation(self.score_auction),
            "/feedback": Operation(self.feedback, predicts=False),
        }
        self.access = Access(settings, metrics) if settings.authentication == "keys" else None
        self._decoder = BodyDecoder(settings.max_batch_rows)
        # One thread each: of the documents that are taken apart, one is in memory at a time.
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large-body")
        self._durable = ThreadPoolExecutor(1, thread_name_prefix="durable")
        self._predictions = SegmentWriter.from_settings(
            settings.log_dir,
            settings,
            retention=Retention.from_settings(settings),
            on_drop=metrics.log_dropped.inc,
            on_sync_failure=metrics.log_sync_failures.inc,
        )
        self._labels = SegmentWriter.from_settings(
            settings.log_dir / LABELS, settings, on_sync_failure=metrics.log_sync_failures.inc
        )

    def start(self) -> None:
        """Load the promoted model and profiles, and follow their changes from now on."""
        self._predictions.start()
        self._labels.start()
        reloaders = (self._reloader, self._profile_reloader)
        for reloader in reloaders:
            reloader.start()
        for reloader in reloaders:
            reloader.wait()

    def stop(self) -> None:
        """Stop following, and force the logs to disk."""
        self._reloader.stop()
        self._profile_reloader.stop()
        if self.profiles is not None:
            self.profiles.close()
        if self.access:
            self.access.count()
        self._large.shutdown()
        self._durable.shutdown()
        self._predictions.close()
        self._labels.close()

    def _use(self, predictor: Predictor) -> None:
        self.model = LoadedModel(predictor, self.metrics)

    def _use_profiles(self, profiles: Profiles) -> None:
        self.profiles = profiles
        self.metrics.use_profiles(profiles.manifest)

    async def answer(self, operation: Operation, body: bytes, head: RequestHead) -> Response:
        """Run an operation on the `body` of a request; every failure becomes problem details."""
        query = Query()
        try:
            if operation.streams(head.content_type):
                parts = [
                    part async for part in self.answer_lines(operation, _in_turns([body]), head)
                ]
                return Response(b"".join(parts), content_type=NDJSON)
            query = Query.parse(head.query)
            check_media_type(operation, head)
            return await operation.run(body, query)
        except Exception as error:  # noqa: BLE001 - what is no refusal is logged
            return self.refuse(operation, error, query)

    def answer_lines(
        self, operation: Operation, chunks: AsyncIterator[bytes], head: RequestHead
    ) -> AsyncIterator[bytes]:
        """Run an operation on a body of JSON lines, as it arrives; yields the answer's lines.

        Raises:
            Problem: Nothing can be answered. What is wrong with a line, its own answer says.
        """
        check_media_type(operation, head)
        return self._predict_lines(chunks, Query.parse(head.query))

    def refuse(self, operation: Operation, error: Exception, query: Query = _PLAIN) -> Response:
        """Return the answer to `error`; a prediction's is counted, unless it is of a dry run."""
        problem = problem_of(error)
        if operation.predicts and not query.dry_run:
            self.metrics.prediction_errors.labels(problem.name).inc()
        return problem.response

    async def predict(self, body: bytes, query: Query) -> Response:
        """Score one record."""
        (answer,) = await _aside(self._large, body, lambda one: self.predict_each([one], query))
        return answer

    def predict_each(
        self,
        bodies: Sequence[bytes],
        query: Query = _PLAIN,
        *,
        request_ids: Sequence[bytes] = (),
    ) -> list[Response]:
        """Score one record from each of `bodies`, all at once; a bad one is refused alone.

        What fails is logged with its request's id, if `request_ids` has one for each body.
        """

        def refuse(place: int, error: Exception) -> Response:
            if request_ids:
                REQUEST_ID.set(request_ids[place])
            return self.refuse(self._predict_one, error, query)

        good: list[int] = []
        records: list[Record] = []
        refusals: dict[int, Response] = {}
        for place, body in enumerate(bodies):
            try:
                records.append(self._decoder.one(body))
                good.append(place)
            except Exception as error:  # noqa: BLE001 - what is no refusal is logged
                refusals[place] = refuse(place, error)
        answers: Iterable[Response] = ()
        try:
            if records:
                rows = Rows.of(records, [_as_sent(bodies[place]) for place in good])
                model = self._current_model()
                predictions = self._record(model, rows, model.score(rows), query)
                if query.explain:
                    predictions = [*model.explained(rows, predictions)]
                answers = map(_json, predictions)
        except Exception as error:  # noqa: BLE001 - as above
            if len(good) == 1:
                answers = [refuse(good[0], error)]
            else:  # one of them may be at fault
                answers = [self._predict_alone(bodies, place, query, request_ids) for place in good]
        scored = iter(answers)
        return [refusals.get(place) or next(scored) for place in range(len(bodies))]

    def _predict_alone(
        self, bodies: Sequence[bytes], place: int, query: Query, request_ids: Sequence[bytes]
    ) -> Response:
        (answer,) = self.predict_each(
            [bodies[place]], query, request_ids=request_ids[place : place + 1]
        )
        return answer

    async def predict_batch(self, body: bytes, query: Query) -> Response:
        """Score an array of records; all of them or none."""
        try:
            slices = [rows async for rows in _in_turns(self._decoder.slices(body))]
        except ValueError:
            slices = await _aside(self._large, body, self._decoder.batch)
        model = self._current_model()
        parts = self._scored(model, slices, query, 0.0 if query.explain else None)
        answers = [_encoder.encode(part)[1:-1] async for part in parts]
        return Response(b'{"predictions":[%b]}' % b",".join(answers))

    async def score_auction(self, body: bytes, query: Query) -> Response:
        """Score each bidder of one auction from its bids until now and from the profiles."""
        auction, course, repeated = await _aside(self._large, body, self._followed)
        model, profiles = self._current_model(), self._current_profiles()
        found: list[LiveRecord] = []
        slices = []
        async for part in _in_turns(_slices(live_records(auction, course, profiles))):
            found += part
            slices.append(Rows.of([record_of(auction, live) for live in part], [None] * len(part)))
        least = math.inf if query.explain is False else model.review_from
        scored = self._scored(model, slices, query, least)
        predictions = [prediction async for part in scored for prediction in part]
        bidders = [
            ScoredBidder(
                **asdict(prediction),
                bidder_id=live.bidder_id,
                is_seller=live.bidder_id == auction.seller_id,
                in_profiles=live.known,
                features=dict(zip(FEATURES, live.features, strict=True)),
            )
            for live, prediction in zip(found, predictions, strict=True)
        ]
        bidders.sort(key=lambda bidder: -bidder.probability)
        return _json(
            ScoredAuction(auction.auction_id, profiles.manifest.version, repeated, bidders)
        )

    def _followed(self, body: bytes) -> Followed:
        return follow_auction(self._decoder.auction(body), datetime.now(UTC))

    async def _scored(
        self, model: LoadedModel, slices: Sequence[Rows], query: Query, least: float | None
    ) -> AsyncIterator[list[Prediction]]:
        """Score all of `slices`, then record the predictions of each and yield them.

        With bands, and from the probability `least` on with reasons, unless that is None.
        """
        scores = [model.score(rows) async for rows in _in_turns(slices)]
        if least is not None:
            least = max(least, least_explained(scores))
        async for rows, of in _in_turns(zip(slices, scores, strict=True)):
            predictions = self._record(model, rows, of, query)
            if least is not None:
                explained = model.explained(rows, predictions, least)
                predictions = [prediction async for prediction in _in_turns(explained)]
            yield predictions

    async def _predict_lines(
        self, chunks: AsyncIterator[bytes], query: Query
    ) -> AsyncIterator[bytes]:
        """Score records that come one a line; each gets a line of its own, a refusal if need be."""
        self._current_model()
        try:
            async for lines in slices_of_lines(chunks):
                # To explain takes long: one line in a turn of the event loop.
                for part in [[line] for line in lines] if query.explain else [lines]:
                    yield b"".join([b"%b\n" % one.body for one in self.predict_each(part, query)])
                    await asyncio.sleep(0)
        except Problem as problem:  # what follows is lost
            yield b"%b\n" % self.refuse(self._predict_one, problem, query).body

    def _record(
        self, model: LoadedModel, rows: Rows, scores: Scores, query: Query
    ) -> list[Prediction]:
        """Make predictions of `scores`, count them and hand them to the kernel."""
        predictions = model.predictions(scores)
        if not query.dry_run:
            model.count(scores)
            now = datetime.now(UTC)
            lines = [
                LoggedPrediction(
                    prediction_id=prediction.prediction_id,
                    at=now,
                    model_version=prediction.model_version,
                    record=cast(Record, record),  # its JSON, which goes into the line as it is
                    probability=prediction.probability,
                    prediction=prediction.prediction,
                    threshold=prediction.threshold,
                )
                for record, prediction in zip(rows.logged, predictions, strict=True)
            ]
            self._predictions.append(_encoder.encode_lines(lines), len(lines))
        return predictions

    async def feedback(self, body: bytes, query: Query) -> Response:
        """Record labels, on disk before the answer; sending them again changes nothing."""
        labels = await _aside(self._large, body, self._decoder.labels)
        if query.dry_run:
            return _json(FeedbackReceipt(recorded=0))
        now = datetime.now(UTC)
        lines = [
            LoggedLabel(
                prediction_id=label.prediction_id,
                is_shill=label.is_shill,
                labelled_at=now if label.labelled_at is UNSET else label.labelled_at,
                at=now,
            )
            for label in labels
        ]
        append = partial(
            self._labels.append, _encoder.encode_lines(lines), len(lines), durable=True
        )
        if not await asyncio.get_running_loop().run_in_executor(self._durable, append):
            raise Problem("log-unavailable", f"no label was recorded: {self._labels.failure}")
        return _json(FeedbackReceipt(recorded=len(lines)))

    def health(self) -> Response:
        """Tell that the process answers."""
        return _json(Health())

    def readiness(self) -> Response:
        """Tell whether predictions can be served."""
        model = self._current_model()
        if not self._predictions.check():
            raise Problem("not-ready", f"the prediction log: {self._predictions.failure}")
        if self.access and not self.access.ready():
            raise Problem("not-ready", f"the keys: {self.access.obstacle}")
        return _json(
            Readiness(
                model_version=model.predictor.version,
                prediction_log=self._log_state(),
                release=self.settings.release,
                authentication="keys" if self.access else "off",
                profiles=self._profiles_in_use(),
            )
        )

    def _log_state(self) -> Literal["writing", "dropping", "not-synced"]:
        if self._predictions.failure:
            return "dropping"
        return "not-synced" if self._predictions.sync_failure else "writing"

    def describe_model(self) -> Response:
        """Tell what the model in use is, and how good."""
        model = self._current_model()
        manifest = model.predictor.manifest
        return _json(
            ModelDescription(
                version=manifest.version,
                created_at=manifest.created_at,
                loaded_at=model.loaded_at,
                estimator=manifest.estimator,
                calibration=manifest.calibration,
                threshold=manifest.threshold,
                bands=manifest.bands,
                metrics=manifest.metrics,
                dataset=manifest.dataset,
                features=manifest.features,
            )
        )

    def _profiles_in_use(self) -> ProfilesInUse | None:
        if self.profiles is None:
            return None
        manifest = self.profiles.manifest
        return ProfilesInUse(manifest.version, manifest.until)

    def _current_profiles(self) -> Profiles:
        if self.profiles is None:
            raise Problem("no-profiles", f"none are loaded: {self._profile_reloader.obstacle}")
        return self.profiles

    def _current_model(self) -> LoadedModel:
        if self.model is None:
            raise Problem("not-ready", f"no model is loaded: {self._reloader.obstacle}")
        return self.model


def _slices(items: Iterator[Item]) -> Iterator[list[Item]]:
    """Yield `items` as lists for one turn of the event loop each."""
    while part := [*islice(items, SLICE_ROWS)]:
        yield part


async def _in_turns(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield `items`, letting others use the event loop in between."""
    for number, item in enumerate(items):
        if number:
            await asyncio.sleep(0)
        yield item


async def _aside(
    thread: ThreadPoolExecutor, body: bytes, decode: Callable[[bytes], Decoded]
) -> Decoded:
    """Decode `body`, in `thread` if it is large: what is wrong with it may take long to tell."""
    if len(body) <= LARGE_BODY_BYTES:
        return decode(body)
    return await asyncio.get_running_loop().run_in_executor(thread, decode, body)


def _as_sent(body: bytes) -> Raw | None:
    """Return the one record in `body` for the log, if it can be logged as it is."""
    return Raw(body) if fits_into_lines(body, 1) else None


def media_type(content_type: str) -> str:
    """Return a Content-Type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def check_media_type(operation: Operation, head: RequestHead) -> None:
    """Refuse, with `Problem`, a body of a type that `operation` does not take."""
    if media_type(head.content_type) not in operation.takes:
        taken = ", ".join(operation.takes)
        raise Problem(
            "unsupported-media-type",
            f"Content-Type is {head.content_type or 'missing'}: send {taken}",
            headers=(("Accept", taken),),
        )
    if head.content_encoding.lower() not in {"", "identity"}:
        raise Problem(
            "unsupported-media-type",
            f"Content-Encoding is {head.content_encoding}: send the body as it is",
            headers=(("Accept-Encoding", "identity"),),
        )


def _json(message: msgspec.Struct) -> Response:
    return Response(_encoder.encode(message))
