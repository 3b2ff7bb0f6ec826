"""The record's fields are documented, and its schema has a name that tells one from another."""

import msgspec
import pytest

from flask_app.record import FIELDS, Field, Record, schema_id


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_has_a_description_and_an_example(field: Field) -> None:
    assert field.json_schema["description"].endswith(".")
    assert len(field.json_schema["examples"]) == 1


def test_the_examples_make_a_record() -> None:
    msgspec.convert({field.name: field.json_schema["examples"][0] for field in FIELDS}, Record)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"name": "x"}, False),
        ({"type": "text"}, False),
        ({"required": False}, False),
        ({"json_schema": {"maximum": 2}}, True),
    ],
)
def test_the_schema_is_another_when_a_record_says_something_else(
    change: dict[str, object], same: bool
) -> None:
    changed = tuple(
        field._replace(**change) if field.name == "bidding_ratio" else field for field in FIELDS
    )
    assert (schema_id(changed) == schema_id(FIELDS)) is same
