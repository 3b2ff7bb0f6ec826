"""The OpenAPI document, the routes and the page about the API describe the same thing."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from flask_app.serving.access import NEEDED
from flask_app.serving.openapi import document, operations
from flask_app.serving.problems import PROBLEM_TYPES
from flask_app.serving.service import Service
from flask_app.serving.web import create_flask_app
from flask_app.settings import Settings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text()


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    described: dict[str, Any] = json.loads(document(Settings(max_batch_rows=7)))
    return described


def test_every_route_is_described_and_every_description_has_a_route(
    openapi: dict[str, Any], service: Service
) -> None:
    routes = {
        (rule.rule, method)
        for rule in create_flask_app(service).url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith("/docs/") or rule.rule == "/docs/errors"
    }
    described = {
        (path, method.upper()) for path, item in openapi["paths"].items() for method in item
    }
    assert described == routes


def test_the_page_names_every_route() -> None:
    named = set(re.findall(r"`((?:GET|POST) /[\w./]*)`", PAGE))
    assert {f"{op.method.upper()} {op.path}" for op in operations(1)} <= named


def test_the_page_has_every_problem() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \| (.+) \| (.+) \|$", PAGE, flags=re.MULTILINE)
    assert [(name, int(status), title, remedy) for name, status, title, remedy in rows] == [
        (name, *kind) for name, kind in PROBLEM_TYPES.items()
    ]


def test_examples_satisfy_their_schemas(openapi: dict[str, Any]) -> None:
    checked = 0
    for item in openapi["paths"].values():
        for operation in item.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = content["schema"] | {"components": openapi["components"]}
                jsonschema.Draft202012Validator(schema).validate(content["example"])
                checked += 1
    assert checked == 5


def test_the_limits_in_force_are_described(openapi: dict[str, Any]) -> None:
    batch = openapi["paths"]["/predict_batch"]["post"]["requestBody"]
    schema = batch["content"]["application/json"]["schema"]
    assert (schema["minItems"], schema["maxItems"]) == (1, 7)


def test_every_problem_of_an_operation_is_described_under_its_status(
    openapi: dict[str, Any],
) -> None:
    responses = openapi["paths"]["/predict"]["post"]["responses"]
    refused = {"400", "401", "403", "408", "413", "415", "422", "429", "500", "503"}
    assert set(responses) == refused | {"200"}
    assert "duplicate-key" in responses["422"]["description"]
    assert list(responses["503"]["content"]) == ["application/problem+json"]


def test_which_operations_need_a_key_and_what_scope_is_described_as_it_is_checked(
    openapi: dict[str, Any],
) -> None:
    described = {
        path: scope
        for path, item in openapi["paths"].items()
        for operation in item.values()
        for requirement in operation.get("security", [])
        for scope in requirement["key"]
    }
    assert described == NEEDED
    assert openapi["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_where_keys_are_off_none_are_described() -> None:
    described = document(Settings(authentication="off")).decode()
    assert "security" not in described
    assert "rate-limited" not in described


def test_the_page_names_the_scope_of_each_operation() -> None:
    rows = re.findall(r"^\| `(?:GET|POST) (/\w+)` \| (?:`(\w+)`)? ?\|", PAGE, flags=re.MULTILINE)
    assert {path: scope for path, scope in rows if scope} == NEEDED
