"""terraform apply -> the inventory -> what site.yml needs -> terraform destroy, against moto."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.terraform.chain import Chain, Environment, there_is
from tests.terraform.tools import resources


def hosts(chain: Chain, environment: str) -> dict[str, str]:
    """The inventory's name of each host of Terraform's."""
    return {
        key: f"shill-{environment}-{key}_{host['id']}"
        for key, host in chain.environments[environment].outputs["hosts"].items()
    }


@pytest.fixture(scope="module")
def inventories(chain: Chain) -> dict[str, Any]:
    """What the inventory says of each environment as it was applied."""
    return {name: chain.inventory(TF_VAR_environment=name) for name in chain.environments}


def test_everything_is_applied(
    chain: Chain, record_property: Callable[[str, object], None]
) -> None:
    for name, environment in chain.environments.items():
        kinds = [
            found["type"] for found in resources(environment.state) if found["mode"] == "managed"
        ]
        record_property(f"resources in {name}", len(kinds))
        assert {"aws_instance", "aws_s3_bucket", "aws_iam_role_policy", "aws_sns_topic"} <= set(
            kinds
        )


def test_a_second_plan_changes_nothing_but_what_moto_forgets(chain: Chain) -> None:
    """It keeps no description of a rule that names a security group instead of addresses."""
    referring = {
        f'module.security.aws_vpc_security_group_{way}_rule.peers["{port}"]': {"description"}
        for way in ("ingress", "egress")
        for port in ("api", "docker", "node-exporter")
    }
    assert chain.environments["production"].changes == referring
    assert chain.environments["staging"].changes == referring
    assert chain.bootstrap.changes == {}


def test_what_moto_lacks_is_at_least_planned(chain: Chain, complete: Any) -> None:
    """By the real provider, which checks more than a mock does."""
    added = {found["type"] for found in resources(complete) if found["mode"] == "managed"} - {
        found["type"] for found in resources(chain.environments["production"].state)
    }
    assert added == {
        "aws_budgets_budget",
        "aws_dlm_lifecycle_policy",
        "aws_ec2_instance_connect_endpoint",
    }


def test_hosts_are_bare(chain: Chain) -> None:
    for environment in chain.environments.values():
        instances = environment.managed("aws_instance")
        assert instances
        for instance in instances.values():
            assert not instance["user_data"]
            assert not instance["user_data_base64"]


def test_nothing_is_in_the_default_security_group(chain: Chain) -> None:
    for environment in chain.environments.values():
        ours = {group["id"] for group in environment.managed("aws_security_group").values()}
        instances = environment.managed("aws_instance").values()
        assert all(set(instance["vpc_security_group_ids"]) <= ours for instance in instances)


def test_nothing_is_open_to_the_world_inwards(chain: Chain) -> None:
    for environment in chain.environments.values():
        rules = environment.managed("aws_vpc_security_group_ingress_rule")
        assert all(rule["cidr_ipv4"] != "0.0.0.0/0" for rule in rules.values())


def test_everything_that_can_have_tags_has_ours(chain: Chain) -> None:
    for name, environment in chain.environments.items():
        for found in resources(environment.state):
            tags = found["values"].get("tags_all")
            if found["mode"] == "managed" and "tags_all" in found["values"]:
                ours = {"Project": "shill", "Environment": name, "ManagedBy": "terraform"}
                assert ours.items() <= tags.items(), found["address"]


def test_private_hosts_have_no_address_of_the_internet(chain: Chain) -> None:
    outputs = chain.environments["staging"].outputs
    assert outputs["hosts"]["only"]["public_ip"] is None
    assert chain.environments["staging"].managed("aws_eip") == {}


def test_the_inventory_lists_exactly_the_environment_s_hosts_in_their_groups(
    chain: Chain, inventories: dict[str, Any]
) -> None:
    for name, inventory in inventories.items():
        groups = {
            group: set(members.get("hosts", ()))
            for group, members in inventory.items()
            if group not in ("_meta", "all")
        }
        named = hosts(chain, name)
        everyone = set(named.values())
        assert groups == {
            "aws_ec2": everyone,
            "project_shill": everyone,
            f"environment_{name}": everyone,
            "model_servers": everyone,
            "monitoring": everyone - ({named["2"]} if name == "production" else set()),
        }


def test_hosts_know_what_site_yml_needs_of_them(chain: Chain, inventories: dict[str, Any]) -> None:
    for name, environment in chain.environments.items():
        outputs = environment.outputs
        variables = inventories[name]["_meta"]["hostvars"]
        for host in hosts(chain, name).values():
            assert {
                "aws_region": "eu-central-1",
                "shill_bucket": outputs["bucket"],
                "model_store": outputs["model_store"],
                "log_group_prefix": outputs["log_group_prefix"],
                "alert_topic_arn": outputs["alert_topic_arn"],
            }.items() <= variables[host].items()


def known_by(instance_id: str) -> str:
    """How SSH checks a host: by its id, because addresses are used again."""
    return f"-o HostKeyAlias={instance_id} -o StrictHostKeyChecking=accept-new"


def test_ansible_connects_to_the_elastic_address(chain: Chain) -> None:
    addresses = chain.environments["production"].outputs["hosts"]
    assert chain.rendered("[ansible_user, ansible_host, ansible_ssh_common_args | trim]") == {
        name: ["admin", addresses[key]["public_ip"], known_by(addresses[key]["id"])]
        for key, name in hosts(chain, "production").items()
    }


def test_roles_get_their_variables_from_it(chain: Chain) -> None:
    outputs = chain.environments["production"].outputs
    variables = (
        "[prediction_archive_target, node_exporter_bind, prometheus_alertmanager_sns_topic_arn,"
        " prometheus_scrape_address]"
    )
    assert chain.rendered(variables, "--limit", "monitoring") == {
        hosts(chain, "production")["1"]: [
            f"s3://{outputs['bucket']}",
            f"{outputs['hosts']['1']['private_ip']}:9100",
            outputs["alert_topic_arn"],
            outputs["hosts"]["1"]["private_ip"],
        ]
    }


def test_one_variable_makes_ansible_connect_through_aws(chain: Chain) -> None:
    ids = chain.environments["production"].outputs["hosts"]
    command = "aws ec2-instance-connect open-tunnel --instance-id %h --region eu-central-1"
    chosen = ("-e", "aws_connection=tunnel")
    assert chain.rendered("[ansible_host, ansible_ssh_common_args]", *chosen) == {
        name: [ids[key]["id"], f'{known_by(ids[key]["id"])} -o ProxyCommand="{command}"']
        for key, name in hosts(chain, "production").items()
    }


def test_the_inventory_finds_what_something_else_started(chain: Chain) -> None:
    """A spot instance and a group that scales, by their tags; not strangers, not stopped hosts."""
    ec2, scaling = chain.client("ec2"), chain.client("autoscaling")
    (first, *_) = chain.environments["production"].managed("aws_instance").values()
    tags = [{"Key": key, "Value": value} for key, value in first["tags"].items()]
    basics = {"ImageId": first["ami"], "InstanceType": "t3.medium"}
    one = {**basics, "MinCount": 1, "MaxCount": 1}

    def start(extra: dict[str, Any], **options: Any) -> str:
        specification = [{"ResourceType": "instance", "Tags": [*tags, *_pairs(extra)]}]
        started = ec2.run_instances(**one, TagSpecifications=specification, **options)
        return started["Instances"][0]["InstanceId"]  # type: ignore[no-any-return]

    spot = start({}, InstanceMarketOptions={"MarketType": "spot"})
    stranger = start({"Project": "other"})
    stopped = start({})
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.create_launch_template(
        LaunchTemplateName="scaled",
        LaunchTemplateData=basics
        | {"TagSpecifications": [{"ResourceType": "instance", "Tags": tags}]},
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="scaled",
        LaunchTemplate={"LaunchTemplateName": "scaled"},
        MinSize=2,
        MaxSize=2,
        VPCZoneIdentifier=first["subnet_id"],
    )
    (group,) = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    scaled = [instance["InstanceId"] for instance in group["Instances"]]
    try:
        found = chain.inventory()
        assert set(found["monitoring"]["hosts"]) == {
            hosts(chain, "production")["1"],
            *(f"shill-production-1_{instance}" for instance in (spot, *scaled)),
        }
    finally:
        scaling.delete_auto_scaling_group(AutoScalingGroupName="scaled", ForceDelete=True)
        ec2.delete_launch_template(LaunchTemplateName="scaled")
        ec2.terminate_instances(InstanceIds=[spot, stranger, stopped])


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def test_site_yml_plays_on_the_hosts_by_their_roles(chain: Chain) -> None:
    named = hosts(chain, "production")
    shown = chain.ansible("ansible-playbook", "--list-hosts", "site.yml")
    plays = [play for play in shown.split("\n\n") if "play #" in play]
    serving = [play for play in plays if "(model_servers)" in play]
    assert serving
    assert all(name in play for play in serving for name in named.values())


def test_a_state_in_the_bucket_is_locked_while_another_applies(chain: Chain) -> None:
    bucket = chain.bootstrap.outputs["bucket"]
    root = type(chain.bootstrap.workspace)(
        chain.bootstrap.workspace.folder.parent,
        {**chain.bootstrap.workspace.environment, "TF_DATA_DIR": ".remote"},
    )
    (root.folder / "backend.tf").write_text(chain.bootstrap.outputs["backend"])
    root.init("-backend-config=key=production.tfstate", "-backend-config=use_path_style=true")
    lock = {"Bucket": bucket, "Key": "production.tfstate.tflock"}
    chain.client("s3").put_object(
        **lock, Body=b'{"ID": "another", "Operation": "OperationTypeApply"}'
    )
    refused = root.run("plan", "-input=false", "-no-color", check=False)
    chain.client("s3").delete_object(**lock)
    assert refused.returncode == 1
    assert "Error acquiring the state lock" in refused.stderr
    for version in chain.client("s3").list_object_versions(Bucket=bucket).get("Versions", ()):
        chain.client("s3").delete_object(
            Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"]
        )
    for marker in chain.client("s3").list_object_versions(Bucket=bucket).get("DeleteMarkers", ()):
        chain.client("s3").delete_object(
            Bucket=bucket, Key=marker["Key"], VersionId=marker["VersionId"]
        )


def test_destroying_leaves_nothing(chain: Chain) -> None:
    """Not even a bucket with versions in it, where that was asked for."""
    there = there_is(chain.url)
    assert [kind for kind, found in there.items() if found <= chain.before[kind]] == []
    bucket = chain.environments["production"].outputs["bucket"]
    for body in (b"first", b"second"):
        chain.client("s3").put_object(Bucket=bucket, Key="models/production.json", Body=body)
    chain.together(Environment.destroy)
    assert there_is(chain.url) == chain.before
