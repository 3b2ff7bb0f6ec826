"""The service's own log is one JSON object a line, exceptions included."""

import json
import logging
import sys

from flask_app.serving.service_log import REQUEST_ID, JsonFormatter


def test_an_entry_is_one_line_of_json() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "two\nlines of %s", ("text",), None)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"]) == ("warning", "x")
    assert entry["message"] == "two\nlines of text"
    assert entry["at"].endswith("Z")


def test_an_exception_is_part_of_its_entry() -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["exception"].endswith("ZeroDivisionError: division by zero")


def test_an_entry_names_the_request_that_it_is_about() -> None:
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), None)
    token = REQUEST_ID.set(b"\xff" * 100)
    try:
        entry = json.loads(JsonFormatter().format(record))
    finally:
        REQUEST_ID.reset(token)
    assert entry["request_id"] == "\xff" * 64
    assert "request_id" not in json.loads(JsonFormatter().format(record))
