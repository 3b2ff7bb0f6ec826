"""docs/deployment.md, from an empty account to the first prediction and back, every command."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.guide.walk import Step, commands, walk
from tests.terraform.chain import client, there_is


def output(steps: list[Step], pattern: str) -> str:
    """What the only command wrote that is like `pattern`."""
    (found,) = [step.output for step in steps if re.search(pattern, step.command)]
    return found


def failed(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.command, step.output[-5000:]) for step in steps if step.status != 0]


def test_commands_are_read_with_their_further_lines_and_without_output() -> None:
    page = "Text\n\n```console\n$ one\nits output\n$ two '{\n    }'\n```\n\n```sh\n$ not\n```\n"
    assert commands(page) == ["one", "two '{\n    }'"]


def test_a_walk_ends_with_the_first_command_that_fails(tmp_path: Path) -> None:
    steps = walk(["x=1; cd /", "echo $x; pwd", "false", "echo never"], tmp_path, {})
    assert [(step.output, step.status) for step in steps] == [
        ("", 0),
        ("1\n/\n", 0),
        ("", 1),
        ("", None),
    ]


def test_every_command_of_the_guide_succeeds(
    deployed: list[Step], record_property: Callable[[str, object], None]
) -> None:
    record_property("commands", len(deployed))
    assert failed(deployed) == []


def test_the_inventory_shows_the_host_in_its_groups(deployed: list[Step]) -> None:
    graph = output(deployed, "ansible-inventory")
    for group in ("model_servers", "monitoring", "environment_production"):
        assert f"@{group}:\n  |  |--shill-production-1_i-" in graph


def test_the_host_is_ready_with_the_model_from_the_bucket(aws: str, deployed: list[Step]) -> None:
    ready = json.loads(output(deployed, "/ready"))
    (bucket,) = (name for name in there_is(aws)["buckets"] if "production" in name)
    pointer = client(aws, "s3").get_object(Bucket=bucket, Key="models/production.json")["Body"]
    assert ready["model_version"] == json.load(pointer)["version"]


def test_the_first_prediction_is_answered(deployed: list[Step]) -> None:
    answer: dict[str, Any] = json.loads(output(deployed, "/predict"))
    assert answer["is_shill_bid"] is True
    assert answer["prediction_id"]


def test_what_is_to_be_seen_is_shown(deployed: list[Step]) -> None:
    shown = output(deployed, "^terraform -chdir=terraform output$")
    assert "grafana_urls" in shown
    assert output(deployed, "vault view").startswith("grafana_admin_password: '")


def test_removing_it_all_leaves_what_the_page_says(
    aws: str, before: dict[str, set[str]], removed: list[Step]
) -> None:
    """With a model in the bucket, in several versions."""
    assert failed(removed) == []
    left = {kind: found - before[kind] for kind, found in there_is(aws).items()}
    assert {kind: len(found) for kind, found in left.items() if found} == {
        "buckets": 1,  # of states
        "policies": 3,
    }
    assert [key["KeyName"] for key in client(aws, "ec2").describe_key_pairs()["KeyPairs"]] == [
        "shill"
    ]
