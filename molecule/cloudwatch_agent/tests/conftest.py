"""What the tests share: the role with other options, and what must not have changed."""

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from testinfra.host import Host

SERVICE = "amazon-cloudwatch-agent"
ETC = "/opt/aws/amazon-cloudwatch-agent/etc"


@pytest.fixture(scope="module")
def role(converge: Callable[..., CompletedProcess[str]]) -> Callable[..., CompletedProcess[str]]:
    """Apply the role, or a phase of it, with options that win over those of converge.yml."""
    return lambda phase="", **options: converge(f"--tags=cloudwatch_agent{phase}", **options)


@pytest.fixture
def state(host: Host) -> Callable[[], tuple[str, ...]]:
    """The package, where it came from, the configuration and the process that has read it."""
    return lambda: (
        host.package(SERVICE).version,
        host.file("/etc/amazon-cloudwatch-agent.package").content_string,
        host.file(f"{ETC}/amazon-cloudwatch-agent.json").content_string,
        host.check_output(f"systemctl show --property=MainPID {SERVICE}"),
    )
