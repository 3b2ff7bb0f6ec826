"""The agent accepts what the role gives it, and sends what alarms ask for to where it may."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.unit.cloudwatch.conftest import HOSTS, ROOT, Rendered

ON_AWS = sorted(name for name, (groups, _) in HOSTS.items() if "aws_ec2" in groups)
WITH_MODEL = sorted(name for name in ON_AWS if "model_servers" in HOSTS[name][0])


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The agent's own: CLOUDWATCH_AGENT_SCHEMA, or the reference data beside the checkout."""
    named = os.environ.get("CLOUDWATCH_AGENT_SCHEMA")
    beside = ROOT.parent / "shared/data/amazon-cloudwatch-agent.schema.json"
    path = Path(named) if named else beside
    if not path.is_file():
        pytest.skip(f"AWS's schema is not at {path}: set CLOUDWATCH_AGENT_SCHEMA to its path")
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def alarms() -> set[str]:
    """The agent's metrics that alarms are about: of all hosts by query, of each by name."""
    text = (ROOT / "terraform/modules/operations/alarms.tf").read_text()
    queries = re.findall(r'query += "(.+)"', text)
    # An alarm that asks for what a dimension tells apart would not match.
    asked = [re.fullmatch(r"[A-Z]+\((\w+)\)", query) for query in queries]
    assert all(asked)
    silent = re.search(r"dimensions += { Host = host\.id }\n +metric += (.+)", text)
    assert silent
    return {match[1] for match in asked if match} | set(re.findall(r'"(\w+_\w+_\w+)"', silent[1]))


def sent(agent: dict[str, Any]) -> dict[str, list[tuple[str, list[list[str]]]]]:
    """By metric: each way that it is sent in, as namespace and sets of dimensions."""
    found: dict[str, list[tuple[str, list[list[str]]]]] = {}
    metrics = agent["metrics"]
    for kind, how in metrics["metrics_collected"].items():
        for measurement in how["measurement"]:
            way = metrics["namespace"], [list(how["append_dimensions"])]
            found.setdefault(f"{kind}_{measurement}", []).append(way)
    emf = agent["logs"]["metrics_collected"]["prometheus"]["emf_processor"]
    for declaration in emf["metric_declaration"]:
        for selector in declaration["metric_selectors"]:
            for name in selector.removeprefix("^(").removesuffix(")$").split("|"):
                way = emf["metric_namespace"], declaration["dimensions"]
                found.setdefault(name, []).append(way)
    return found


def entries(value: Any, key: str) -> Iterator[Any]:
    """Every value of a key, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from entries(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from entries(inner, key)


def test_the_lab_has_no_agent_and_hosts_on_aws_have_one(rendered: dict[str, Rendered]) -> None:
    assert {name: host.enabled for name, host in rendered.items()} == {
        name: name in ON_AWS for name in HOSTS
    }


@pytest.mark.parametrize("host", ON_AWS)
def test_the_agent_s_own_schema_admits_it(
    rendered: dict[str, Rendered], host: str, schema: dict[str, Any]
) -> None:
    jsonschema.Draft4Validator(schema).validate(rendered[host].agent)


def test_the_schema_would_not_admit_anything(
    rendered: dict[str, Rendered], schema: dict[str, Any]
) -> None:
    wrong = rendered[ON_AWS[0]].agent | {"metrics": {"namespace": "x" * 256}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(schema).validate(wrong)


def test_what_alarms_ask_for_is_sent_and_nothing_else_as_it_costs(
    rendered: dict[str, Rendered],
) -> None:
    for host in WITH_MODEL:
        assert set(sent(rendered[host].agent)) == alarms()


@pytest.mark.parametrize("host", ON_AWS)
def test_a_sum_over_the_namespace_counts_each_metric_of_a_host_once(
    rendered: dict[str, Rendered], host: str
) -> None:
    namespace = rendered[host].agent["metrics"]["namespace"]
    for ways in sent(rendered[host].agent).values():
        assert ways == [(namespace, [["Host"]])]


@pytest.mark.parametrize("host", ON_AWS)
def test_what_is_scraped_is_what_is_sent_and_carries_the_dimension(
    rendered: dict[str, Rendered], host: str
) -> None:
    emf = rendered[host].agent["logs"]["metrics_collected"]["prometheus"]["emf_processor"]
    jobs = rendered[host].scrape["scrape_configs"]
    assert len(jobs) == len(emf["metric_declaration"])
    for job, declaration in zip(jobs, emf["metric_declaration"], strict=True):
        assert re.fullmatch(declaration["label_matcher"], job["job_name"])
        assert job["static_configs"][0]["labels"] == {"Host": host}
        (kept,) = job["metric_relabel_configs"]
        assert declaration["metric_selectors"] == [f"^({kept['regex']})$"]
        assert (kept["source_labels"], kept["action"]) == (["__name__"], "keep")


def test_each_is_scraped_where_it_listens(rendered: dict[str, Rendered]) -> None:
    targets = {
        name: [job["static_configs"][0]["targets"] for job in host.scrape["scrape_configs"]]
        for name, host in rendered.items()
    }
    bound = {
        role: yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())[f"{role}_bind"]
        for role in ("model_server", "node_exporter")
    }
    assert targets["shill-lab"] == [[bound["model_server"]], [bound["node_exporter"]]]
    assert targets["one_i-0a"] == [["10.20.0.7:8000"], ["10.20.0.7:9100"]]
    assert targets["two-watch_i-0d"] == targets["no-group_i-0e"] == [["10.20.0.7:9100"]]


def test_what_is_sent_is_documented(rendered: dict[str, Rendered]) -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    names = [name for name in sent(rendered["one_i-0a"].agent) if name.startswith("shill_")]
    assert names
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_logs_go_to_the_groups_that_terraform_creates(rendered: dict[str, Rendered]) -> None:
    text = (ROOT / "terraform/modules/operations/main.tf").read_text()
    created = re.search(r"for_each = toset\((\[.+\])\)\n\n  name +=", text)
    assert created
    for host in ON_AWS:
        agent = rendered[host].agent
        groups = set(entries(agent, "log_group_name"))
        assert groups == {
            f"/{agent['metrics']['namespace']}/{name}" for name in json.loads(created[1])
        }


def test_namespace_and_log_groups_have_terraform_s_names(rendered: dict[str, Rendered]) -> None:
    text = (ROOT / "terraform/main.tf").read_text()
    assert re.search(r'path += "/\$\{var.project_name\}/\$\{var.environment\}"', text)
    assert re.search(r'metrics_namespace = "\$\{var.project_name\}/\$\{var.environment\}"', text)
    assert rendered["one_i-0a"].agent["metrics"]["namespace"] == "shill/production"
    assert rendered["no-group_i-0e"].agent["metrics"]["namespace"] == "other/staging"


@pytest.mark.parametrize("host", ON_AWS)
def test_it_needs_no_permission_that_hosts_lack(rendered: dict[str, Rendered], host: str) -> None:
    agent = rendered[host].agent
    # Terraform sets retention, so hosts may not; tags they may not ask for.
    assert list(entries(agent, "retention_in_days")) == []
    assert "append_dimensions" not in agent["metrics"]
    assert agent["agent"]["run_as_user"] == "cwagent"


@pytest.mark.parametrize("host", ON_AWS)
def test_no_two_logs_share_a_stream(rendered: dict[str, Rendered], host: str) -> None:
    collected = rendered[host].agent["logs"]["logs_collected"]
    logs = [entry for kind in collected.values() for entry in kind["collect_list"]]
    streams = [(entry["log_group_name"], entry["log_stream_name"]) for entry in logs]
    assert len(streams) == len(set(streams)) == 5
    assert all(stream.startswith(host) for _, stream in streams)


def test_the_product_s_logs_are_those_that_roles_write(rendered: dict[str, Rendered]) -> None:
    names = "".join(path.read_text() for path in ROOT.glob("roles/*/vars/main.yml"))
    jobs = re.findall(r"^scheduled_container_name: (\w+)", names, re.MULTILINE)
    files = rendered["one_i-0a"].agent["logs"]["logs_collected"]["files"]["collect_list"]
    written = {f"/var/log/shill/{name}.log" for name in [*jobs, "deploy"]}
    assert jobs
    assert written <= {entry["file_path"] for entry in files}


def test_on_aws_containers_log_to_the_journal_which_the_agent_may_read(
    rendered: dict[str, Rendered],
) -> None:
    # The role docker's log-opts are those of Docker's own files, which this driver refuses.
    for host in ON_AWS:
        assert rendered[host].docker == {"log-driver": "journald", "log-opts": {}}


def test_the_package_is_aws_s_of_the_region_for_the_architecture(
    rendered: dict[str, Rendered],
) -> None:
    bucket = "https://amazoncloudwatch-agent-eu-central-1.s3.eu-central-1.amazonaws.com/debian"
    package = "latest/amazon-cloudwatch-agent.deb"
    assert rendered["one_i-0a"].package == f"{bucket}/amd64/{package}"
    assert rendered["spot_i-0b"].package == f"{bucket}/arm64/{package}"
