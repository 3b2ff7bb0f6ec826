"""Labels: what became known about the predictions of one model, and how soon."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from flask_app.log.ids import made_at
from flask_app.log.lines import ID, LoggedLabel
from flask_app.log.reader import Span, SpanReader, decoded
from flask_app.log.segment import LABELS


class _Judged(msgspec.Struct):
    """The part of a line of the prediction log that a label judges."""

    model_version: str
    prediction: Literal[0, 1]


_decode_label = msgspec.json.Decoder(LoggedLabel).decode
_decode_judged = msgspec.json.Decoder(_Judged).decode


class _Known(msgspec.Struct, gc=False):
    """What is known about a prediction: the last label, and when it and the first came, s."""

    is_shill: bool | None
    weight: float
    last: float
    first: float


@dataclass
class Labelled:
    """The labelled predictions of a model.

    Attributes:
        labels: Whether each was a shill.
        predictions: Whether each was called one.
        weights: For how many predictions each stands; 1 where its label does not say.
        delays: Time from each prediction to its first label, s.
        made: How many predictions the model made in the same time; 0 if none is labelled.
        unknown: Labels of that time whose prediction is not in the log.
        torn_lines: Lines of the label log that are not whole.
    """

    labels: list[bool] = field(default_factory=list)
    predictions: list[bool] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    made: int = 0
    unknown: int = 0
    torn_lines: int = 0

    @property
    def coverage(self) -> float:
        """The labelled share of the predictions."""
        return len(self.labels) / max(self.made, 1)


def read_labelled(log_dir: Path, model_version: str, span: Span, limit: int) -> Labelled:
    """Join the labels of predictions made in `span` with these.

    Of more than `limit` labelled predictions the latest count, and the span begins with the oldest
    of them.

    Raises:
        JobError: A log cannot be read.
    """
    reader = SpanReader(log_dir / LABELS, span)
    known = _read_labels(reader, limit)
    labelled = Labelled(torn_lines=reader.torn_lines)
    if known:
        _join(SpanReader(log_dir, Span(reader.start, span.end)), model_version, known, labelled)
    return labelled


def _read_labels(reader: SpanReader, limit: int) -> dict[bytes, _Known]:
    """Return what is known, by the prediction's id."""
    known: dict[bytes, _Known] = {}
    for segment in reader.segments():
        for label in decoded(reader.lines(segment), _decode_label, reader.count_torn):
            at = label.at.timestamp()
            identifier = label.prediction_id.encode()
            weight = 1.0 if label.weight is msgspec.UNSET else label.weight
            entry = known.setdefault(identifier, _Known(label.is_shill, weight, at, at))
            if at >= entry.last:
                entry.is_shill, entry.weight, entry.last = label.is_shill, weight, at
            entry.first = min(entry.first, at)
            if len(known) >= 2 * limit:
                _forget_all_but(limit, known, reader)
    _forget_all_but(limit, known, reader)
    return known


def _forget_all_but(limit: int, known: dict[bytes, _Known], reader: SpanReader) -> None:
    """Keep the latest predictions; all of the millisecond of the oldest that stays."""
    if len(known) > limit:
        start = made_at(sorted(known)[-limit])
        reader.begin_at(start)
        for identifier in [identifier for identifier in known if made_at(identifier) < start]:
            del known[identifier]


def _join(
    reader: SpanReader, model_version: str, known: dict[bytes, _Known], labelled: Labelled
) -> None:
    """Find the predictions that are `known`, and count all of the model's."""
    of_model = b'"model_version":"%s"' % model_version.encode()
    for segment in reader.newest_first():
        for line in reader.lines(segment):
            if of_model in line:
                labelled.made += 1
            entry = known.pop(line[ID], None)
            if entry is None or entry.is_shill is None:
                continue
            with contextlib.suppress(msgspec.DecodeError):  # the window's findings count it
                judged = _decode_judged(line)
                if judged.model_version == model_version:
                    labelled.labels.append(entry.is_shill)
                    labelled.predictions.append(judged.prediction == 1)
                    labelled.weights.append(entry.weight)
                    labelled.delays.append(max(0.0, entry.first - made_at(line[ID]) / 1000))
    labelled.unknown = len(known)
