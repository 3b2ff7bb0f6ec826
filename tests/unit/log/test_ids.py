"""Prediction ids are UUIDs of version 7, in the order of their time, however many at once."""

import time
from uuid import UUID

import msgspec

from flask_app.log.ids import PredictionId, made_at, prediction_ids


def test_prediction_ids_are_version_7_uuids_ordered_by_time() -> None:
    ids = prediction_ids(500) + prediction_ids(500)
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
    for text in ids:
        identifier = UUID(text)
        assert str(identifier) == text
        assert (identifier.version, identifier.variant) == (7, "specified in RFC 4122")
        assert msgspec.convert(text, PredictionId) == text
    assert abs(made_at(ids[0].encode()) / 1000 - time.time()) < 60


def test_a_batch_beyond_the_counter_has_ids_of_the_same_form_and_order() -> None:
    ids = prediction_ids((1 << 20) + 2)
    assert {len(identifier) for identifier in ids} == {36}
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)
    assert msgspec.convert(ids[-1], PredictionId) == ids[-1]
