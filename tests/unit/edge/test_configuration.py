"""nginx passes on what the API has, and refuses in the API's own words."""

import re
from pathlib import Path

import yaml

from flask_app.serving.openapi import operations
from flask_app.serving.problems import PROBLEM_TYPES

ROLE = Path(__file__).parents[3] / "roles" / "edge"
TEMPLATE = (ROLE / "templates/nginx.conf.j2").read_text()


def test_every_operation_for_clients_has_a_path_and_metrics_have_none() -> None:
    paths = yaml.safe_load((ROLE / "vars/main.yml").read_text())["_edge_paths"]
    offered = {operation.path for operation in operations(1)}
    assert {path for path in offered if not path.startswith("/docs")} == {*paths, "/metrics"}


def test_what_nginx_refuses_is_a_problem_of_the_api() -> None:
    refusals = re.findall(r"problem\((\d+), '([\w-]+)', '(.+?)', ", TEMPLATE)
    assert refusals
    for status, name, title in refusals:
        assert (int(status), title) == PROBLEM_TYPES[name][:2]
