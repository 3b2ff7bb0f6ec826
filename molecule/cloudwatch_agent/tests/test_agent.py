"""The agent runs from boot as its own user, who may read logs and little else."""

import json
import os
import subprocess
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from testinfra.host import Host

SERVICE = "amazon-cloudwatch-agent"
AGENT = "/opt/aws/amazon-cloudwatch-agent"
CONFIGURATION = f"{AGENT}/etc/amazon-cloudwatch-agent.json"
AS_AGENT = "runuser --user cwagent -- sh -c %s"


@pytest.fixture(scope="module")
def status(host: Host) -> dict[str, str]:
    """/proc/PID/status of the agent."""
    pid = host.check_output(f"systemctl show --property=MainPID --value {SERVICE}")
    lines = host.check_output(f"cat /proc/{pid}/status").splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def test_it_runs_and_will_after_a_boot(host: Host) -> None:
    assert host.service(SERVICE).is_running
    assert host.service(SERVICE).is_enabled


def test_whoever_looks_is_told_that_it_is_a_stand_in(host: Host) -> None:
    assert "nothing is sent" in host.check_output(f"journalctl --unit {SERVICE}")
    assert "STAND-IN" in host.check_output(f"systemctl status {SERVICE}")


def test_it_is_a_user_of_its_own_without_capabilities(host: Host, status: dict[str, str]) -> None:
    assert status["Uid"].split() == [str(host.user("cwagent").uid)] * 4
    assert status["CapEff"] == status["CapPrm"] == "0" * 16
    groups = host.check_output(f"getent group {' '.join(status['Groups'].split())}")
    assert [line.split(":")[0] for line in groups.splitlines()] == ["systemd-journal"]


def test_it_may_read_the_journal(host: Host) -> None:
    host.check_output("logger --tag molecule 'for the agent'")
    assert "for the agent" in host.check_output(AS_AGENT, "journalctl _TRANSPORT=syslog")


def test_it_may_read_the_product_s_logs_which_are_closed_to_others(
    host: Host, ansible: Callable[..., CompletedProcess[str]]
) -> None:
    # As the drift job does; and as a deploy does, which puts another file in the place of the old.
    host.check_output("sh -c 'umask 027; echo scored >>/var/log/shill/drift.log'")
    line = "path=/var/log/shill/deploy.log line=deployed create=true mode=0640"
    done = ansible("ansible", "lab", "--become", "--module-name=lineinfile", f"--args={line}")
    assert "CHANGED" in done.stdout
    for log, entry in {"drift": "scored", "deploy": "deployed"}.items():
        file = host.file(f"/var/log/shill/{log}.log")
        assert (file.user, file.group, file.mode) == ("root", "cwagent", 0o640)
        assert host.check_output(AS_AGENT, f"tail -n 1 {file.path}") == entry
        assert host.run(AS_AGENT, f"echo forged >>{file.path}").rc != 0


@pytest.mark.parametrize("path", ["/etc/shadow", "/root", "/var/lib/docker"])
def test_it_may_read_nothing_else_of_root_s(host: Host, path: str) -> None:
    host.check_output("install --directory --mode=0710 /var/lib/docker")
    assert host.run(AS_AGENT, f"test -r {path}").rc != 0


def test_its_configuration_is_that_of_this_host(host: Host) -> None:
    configuration = json.loads(host.file(CONFIGURATION).content_string)
    assert configuration["agent"]["run_as_user"] == "cwagent"
    assert configuration["metrics"]["namespace"] == "shill/test"
    streams = configuration["logs"]["logs_collected"]["journald"]["collect_list"]
    assert streams[0]["log_stream_name"] == host.check_output("hostname")


def test_aws_s_own_agent_takes_the_configuration(host: Host) -> None:
    package = os.environ.get("CLOUDWATCH_AGENT_PACKAGE")
    if not package:
        pytest.skip(
            "AWS's CloudWatch agent was not exercised, a stand-in was:"
            " set CLOUDWATCH_AGENT_PACKAGE to the path of its .deb"
        )
    subprocess.run(["docker", "cp", package, f"{host.backend.name}:/root/aws.deb"], check=True)
    host.check_output("dpkg-deb --extract /root/aws.deb /root/aws && mkdir --parents /root/empty")
    host.check_output(
        f"/root/aws{AGENT}/bin/config-translator --mode ec2 --multi-config remove"
        f" --config /root/aws{AGENT}/etc/common-config.toml --input {CONFIGURATION}"
        " --input-dir /root/empty --output /root/empty/agent.toml"
    )
    schematest = "amazon-cloudwatch-agent -schematest -config /root/empty/agent.toml"
    host.check_output(f"/root/aws{AGENT}/bin/{schematest}")
