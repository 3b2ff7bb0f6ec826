"""One chain: Terraform creates, against moto; what came of it is asked of moto and of Ansible."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from tests.terraform.tools import ROOT, Workspace, resources

REGION = "eu-central-1"
ACCOUNT = "123456789012"  # moto's
LOGGED = {"TF_LOG_PROVIDER": "debug", "TF_LOG_PATH": "provider.log"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}

# Moto lacks Instance Connect Endpoints, DLM, and whom a budget warns: plans of mocks cover them.
LACKING = {"instance_connect_endpoint": False, "monthly_budget_usd": 0, "snapshots_kept": 0}
REPOSITORY = "example/shill"
COMMON = LACKING | {"aws_region": REGION, "permissions_boundary": "shill-boundary"}
SETTINGS: dict[str, dict[str, Any]] = {
    "production": {
        "environment": "production",
        "hosts": {
            "1": {},
            "2": {"roles": ["model_servers"], "zone": "b", "instance_type": "t4g.medium"},
        },
        "key_pair_name": "ops",
        "allowed_ssh_cidr": ["203.0.113.7/32"],
        "allowed_web_cidr": ["198.51.100.0/24"],
        "alert_emails": ["ops@example.com"],
        "bucket_force_destroy": True,
    },
    "staging": {
        "environment": "staging",
        "hosts": {"only": {}},
        "host_network": "private-endpoints",
        "ami_id": "ami-0d13a3d6400000001",
        "zones": ["a", "b", "c"],
        "flow_logs": True,
        "working_hours": {"start": "08:00", "stop": "18:00", "timezone": "Europe/Berlin"},
        "kms_key_arn": f"arn:aws:kms:{REGION}:123456789012:key/01234567-89ab-cdef",
        "certificate_zone_id": "Z0123456789ABC",
    },
}


@dataclass
class Environment:
    """An applied environment, as it was before anything else happened to it."""

    workspace: Workspace
    destroyed: bool = False
    state: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, set[str]] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.workspace.folder / LOGGED["TF_LOG_PATH"]

    def apply(self) -> None:
        """Apply, then plan again: what it would still change, by address and attribute."""
        self.workspace.run("apply", "-auto-approve", "-input=false", "-no-color")
        self.workspace.run("plan", "-input=false", "-no-color", "-out=second")
        plan = self.workspace.show("second")
        applied = plan["prior_state"]["values"]
        self.state = applied["root_module"]
        self.outputs = {name: output["value"] for name, output in applied["outputs"].items()}
        for planned in plan["resource_changes"]:
            change = planned["change"]
            if change["actions"] not in (["no-op"], ["read"]):
                self.changes[planned["address"]] = {
                    name
                    for name, value in change["after"].items()
                    if value != change["before"][name]
                }

    def planned(self, **variables: object) -> Any:
        """What would be there with other values of variables."""
        chosen = [f"-var={name}={json.dumps(value)}" for name, value in variables.items()]
        self.workspace.run("plan", "-input=false", "-no-color", "-out=other", *chosen)
        return self.workspace.show("other")["planned_values"]["root_module"]

    def destroy(self) -> None:
        """Destroy it, unless that was done."""
        if not self.destroyed:
            self.workspace.run(
                "destroy", "-auto-approve", "-input=false", "-no-color", "-refresh=false"
            )
        self.destroyed = True

    def managed(self, kind: str, module: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
        """Its resources of a type, by address; or those of a plan's root module."""
        return {
            found["address"]: found["values"]
            for found in resources(module or self.state)
            if found["mode"] == "managed" and found["type"] == kind
        }


@dataclass
class Chain:
    """Moto and what was applied to it."""

    url: str
    environments: dict[str, Environment]
    bootstrap: Environment
    before: dict[str, set[str]]

    def everything(self) -> Iterable[Environment]:
        return [*self.environments.values(), self.bootstrap]

    def together(self, act: Callable[[Environment], None]) -> None:
        """They mostly wait for AWS, so they may do so side by side."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(act, self.everything()))

    def client(self, service: str) -> Any:
        return client(self.url, service)

    def ansible(self, command: str, *arguments: str, **variables: str) -> str:
        """Run one of Ansible's commands with the dynamic inventory."""
        return subprocess.run(
            [
                Path(sys.executable).with_name(command),
                *("--inventory", ROOT / "inventory" / "aws_ec2.yml"),
                *arguments,
            ],
            cwd=ROOT / "ansible",
            env=os.environ
            | CREDENTIALS
            | {
                "AWS_ENDPOINT_URL": self.url,
                "ANSIBLE_LOCALHOST_WARNING": "false",
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.json",  # and no timer
                "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
            }
            | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def inventory(self, **variables: str) -> dict[str, Any]:
        """Groups, and the variables of each host."""
        shown = self.ansible("ansible-inventory", "--list", **variables)
        return json.loads(  # type: ignore[no-any-return]
            shown, object_hook=lambda value: value.get("__ansible_unsafe", value)
        )

    def rendered(self, expression: str, *arguments: str) -> dict[str, Any]:
        """What an expression means on each host. It asks the controller only, never the host."""
        shown = self.ansible(
            *("ansible", "all", "-m", "ansible.builtin.debug", "-a", f"msg={{{{ {expression} }}}}"),
            *arguments,
        )
        hosts = json.loads(shown)["plays"][0]["tasks"][0]["hosts"]
        return {host: result["msg"] for host, result in hosts.items()}


def client(url: str, service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106
    )


def there_is(url: str) -> dict[str, set[str]]:
    """All that is in the account, by kind, of whatever terraform/ creates itself.

    Network interfaces are not: EC2 makes and removes them, and moto forgets the latter.
    """
    ec2 = client(url, "ec2")

    def ids(described: Iterable[Mapping[str, Any]], key: str) -> set[str]:
        return {
            entry[key]
            for entry in described
            if entry.get("State") not in ("deleted", "deleting", {"Code": 48, "Name": "terminated"})
        }

    instances = [
        instance
        for reservation in ec2.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    ]
    return {
        "instances": ids(instances, "InstanceId"),
        "volumes": ids(ec2.describe_volumes()["Volumes"], "VolumeId"),
        "addresses": ids(ec2.describe_addresses()["Addresses"], "AllocationId"),
        "VPCs": ids(ec2.describe_vpcs()["Vpcs"], "VpcId"),
        "subnets": ids(ec2.describe_subnets()["Subnets"], "SubnetId"),
        "gateways": ids(ec2.describe_internet_gateways()["InternetGateways"], "InternetGatewayId"),
        "route tables": ids(ec2.describe_route_tables()["RouteTables"], "RouteTableId"),
        "endpoints": ids(ec2.describe_vpc_endpoints()["VpcEndpoints"], "VpcEndpointId"),
        "flow logs": ids(ec2.describe_flow_logs()["FlowLogs"], "FlowLogId"),
        "security groups": ids(ec2.describe_security_groups()["SecurityGroups"], "GroupId"),
        "buckets": ids(client(url, "s3").list_buckets()["Buckets"], "Name"),
        "roles": ids(client(url, "iam").list_roles()["Roles"], "RoleName"),
        "policies": ids(client(url, "iam").list_policies(Scope="Local")["Policies"], "PolicyName"),
        "providers": ids(
            client(url, "iam").list_open_id_connect_providers()["OpenIDConnectProviderList"], "Arn"
        ),
        "profiles": ids(
            client(url, "iam").list_instance_profiles()["InstanceProfiles"], "InstanceProfileName"
        ),
        "log groups": ids(client(url, "logs").describe_log_groups()["logGroups"], "logGroupName"),
        "alarms": ids(client(url, "cloudwatch").describe_alarms()["MetricAlarms"], "AlarmName"),
        "topics": ids(client(url, "sns").list_topics()["Topics"], "TopicArn"),
        "subscriptions": ids(
            client(url, "sns").list_subscriptions()["Subscriptions"], "SubscriptionArn"
        ),
        "schedules": ids(client(url, "scheduler").list_schedules()["Schedules"], "Name"),
    }
