"""What the role gives the agent, rendered by Ansible for hosts as inventories describe them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles" / "cloudwatch_agent"

# As inventory/aws_ec2.yml describes a host.
EC2 = {
    "ansible_host": "localhost",
    "aws_region": "eu-central-1",
    "ec2_private_ip_address": "10.20.0.7",
    "ec2_tags": {"Name": "shill-production-1"},
    "log_group_prefix": "/shill/production",
    "shill_bucket": "shill-production-123456789012",
    "alert_topic_arn": "arn:aws:sns:eu-central-1:123456789012:shill-production-alerts",
}
LOCAL = {"ansible_connection": "local", "processor": "x86_64"}
SPOT = EC2 | {"ec2_instance_lifecycle": "spot", "processor": "aarch64"}
BOTH, MODEL_SERVER, MONITORING = ["model_servers", "monitoring"], ["model_servers"], ["monitoring"]

HOSTS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "shill-lab": (["lab", *BOTH], {}),
    "one_i-0a": (["aws_ec2", *BOTH], EC2),
    "spot_i-0b": (["aws_ec2", *BOTH], SPOT),
    "two-server_i-0c": (["aws_ec2", *MODEL_SERVER], EC2),
    "two-watch_i-0d": (["aws_ec2", *MONITORING], EC2),
    "no-group_i-0e": (["aws_ec2"], EC2 | {"log_group_prefix": "/other/staging"}),
}

KNOW = {
    "name": "Know what setup would have told",
    "ansible.builtin.set_fact": {"architecture": "{{ processor }}", "cacheable": True},
}
RENDER = {
    "name": "Render",
    "ansible.builtin.copy": {
        "content": "{{ rendered | to_json }}",
        "dest": "{{ playbook_dir }}/{{ inventory_hostname }}.json",
        "mode": "0644",
    },
    "vars": {
        "rendered": {
            "enabled": "{{ cloudwatch_agent_enabled }}",
            "package": "{{ cloudwatch_agent_package }}",
            "docker": "{{ docker_daemon_options }}",
            "agent": "{{ lookup('ansible.builtin.template', 'agent.yml.j2') | from_yaml }}",
            "scrape": "{{ lookup('ansible.builtin.template', 'prometheus.yaml.j2') | from_yaml }}",
        }
    },
}


@dataclass(frozen=True)
class Rendered:
    """What the role would have on a host."""

    enabled: bool
    package: str
    docker: dict[str, Any]
    agent: dict[str, Any]
    scrape: dict[str, Any]


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """By host: the role's own defaults, variables and templates, with tasks that only render."""
    work = tmp_path_factory.mktemp("cloudwatch")
    role = work / "roles" / "cloudwatch_agent"
    (role / "tasks").mkdir(parents=True)
    for part in ("defaults", "vars", "templates"):
        (role / part).symlink_to(ROLE / part)
    (role / "tasks" / "main.yml").write_text(yaml.safe_dump([KNOW, RENDER]))

    inventory = work / "inventory"
    inventory.mkdir()
    (inventory / "group_vars").symlink_to(ROOT / "inventory" / "group_vars")
    groups: dict[str, Any] = {}
    for name, (memberships, variables) in HOSTS.items():
        for group in memberships:
            hosts = groups.setdefault(group, {"hosts": {}})["hosts"]
            hosts[name] = LOCAL | variables
    (inventory / "hosts.json").write_text(json.dumps(groups))
    play = {"name": "Render", "hosts": "all", "gather_facts": False, "roles": ["cloudwatch_agent"]}
    (work / "render.yml").write_text(yaml.safe_dump([play]))
    subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            work / "render.yml",
            f"--inventory={inventory}",
        ],
        capture_output=True,
        check=True,
        env=os.environ
        | {"ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg"), "ANSIBLE_REMOTE_TMP": str(work)},
    )
    return {name: Rendered(**json.loads((work / f"{name}.json").read_text())) for name in HOSTS}
