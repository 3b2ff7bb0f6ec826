"""A fleet is deployed to host by host, by one run at a time.

After test_takeover.py, which leaves both hosts as they were provisioned.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from subprocess import CompletedProcess

import pytest
import testinfra
from testinfra.host import Host

Ansible = Callable[..., CompletedProcess[str]]

LOCK = "/run/model-server-deploy.lock"


@pytest.fixture(scope="module")
def host() -> Host:
    """The first of the two, which has the lock."""
    return testinfra.get_host("docker://shill-model_server-trixie")


@pytest.fixture(scope="module")
def second() -> Host:
    return testinfra.get_host("docker://shill-model_server-bookworm")


@pytest.fixture(scope="module")
def rollout(deploy: Ansible) -> Ansible:
    """Run the role on both hosts, one after the other as site.yml does."""
    return partial(deploy, hosts="trixie,bookworm", at_once=1)


def servers(host: Host) -> list[str]:
    return host.check_output(
        "docker ps --filter label=shill.service=model-server --format '{{.Names}}'"
    ).split()


def test_a_release_that_fails_on_the_first_host_never_reaches_the_second(
    host: Host, second: Host, rollout: Ansible
) -> None:
    before = servers(host), servers(second)
    log = second.file("/var/log/shill/deploy.log").content_string

    done = rollout(model_server_settings={"log_level": "loud"}, model_server_ready_seconds=10)

    assert done.returncode != 0
    assert "what served before goes on serving" in " ".join(done.stdout.split())
    assert (servers(host), servers(second)) == before
    assert second.file("/var/log/shill/deploy.log").content_string == log
    assert not host.file(LOCK).is_symlink


def test_the_lock_is_held_until_the_last_host_has_its_release(
    host: Host, second: Host, rollout: Ansible
) -> None:
    before = servers(host), servers(second)
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(rollout, model_server_settings={"log_level": "error"})
        while len(servers(second)) < 2 and not running.done():
            time.sleep(0.2)
        held = host.file(LOCK).is_symlink, second.file(LOCK).is_symlink
    done = running.result()

    assert done.returncode == 0, done.stdout
    assert held == (True, False)
    assert not host.file(LOCK).is_symlink
    assert len(servers(host)) == len(servers(second)) == 1
    assert servers(host) != before[0]
    assert servers(second) != before[1]
