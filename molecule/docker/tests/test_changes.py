"""What happens to a running host when its options change, for better or worse."""

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
from testinfra.host import Host

Converge = Callable[..., CompletedProcess[str]]

DAEMON_JSON = "/etc/docker/daemon.json"


@pytest.fixture
def container(host: Host, image: str) -> str:
    """A running container."""
    return host.check_output("docker run --detach %s /bin/sleep 600", image)


def engine_pid(host: Host) -> str:
    return host.check_output("systemctl show --property MainPID --value docker")


def is_running(host: Host, container: str) -> bool:
    return host.check_output("docker inspect --format '{{.State.Running}}' %s", container) == "true"


def test_a_reloadable_option_comes_into_force_without_a_restart(
    host: Host, converge: Converge, container: str
) -> None:
    before = engine_pid(host)

    done = converge("--tags=docker:configure", docker_registry_mirrors=["http://mirror.invalid/"])

    assert done.returncode == 0, done.stdout
    assert engine_pid(host) == before
    assert "http://mirror.invalid/" in host.check_output("docker info")
    assert is_running(host, container)


def test_a_proxy_restarts_the_engine_but_no_container_and_nobody_else_learns_it(
    host: Host, converge: Converge, container: str
) -> None:
    before = engine_pid(host)

    done = converge(
        "--tags=docker:configure",
        "--diff",
        docker_https_proxy="http://me:secret@proxy.invalid:3128",
    )

    assert done.returncode == 0, done.stdout
    assert engine_pid(host) != before
    assert is_running(host, container)
    assert "proxy.invalid:3128" in host.check_output("docker info")
    assert "secret" not in done.stdout + done.stderr
    assert "secret" not in host.check_output("systemctl show docker; systemctl cat docker")
    assert host.file("/etc/docker/proxy.env").mode == 0o600


def test_an_option_that_the_engine_does_not_know_changes_nothing(
    host: Host, converge: Converge
) -> None:
    before = host.file(DAEMON_JSON).content, engine_pid(host)

    done = converge("--tags=docker:configure", docker_daemon_options={"log-drivr": "none"})

    assert done.returncode != 0
    assert "log-drivr" in done.stdout
    assert (host.file(DAEMON_JSON).content, engine_pid(host)) == before


def test_the_engine_starts_though_the_host_lacks_the_address_of_its_metrics(
    host: Host, converge: Converge
) -> None:
    """As after a boot where the address comes late, or on a host restored elsewhere."""
    done = converge("--tags=docker:configure", docker_metrics_address="192.0.2.1:9323")

    assert done.returncode == 0, done.stdout
    assert host.socket("tcp://192.0.2.1:9323").is_listening
    host.check_output("docker info")
    assert converge("--tags=docker:configure").returncode == 0


def test_bad_options_are_named_all_at_once_and_change_nothing(
    host: Host, converge: Converge
) -> None:
    before = host.file(DAEMON_JSON).content

    done = converge(
        docker_log_max_size="10 MB",
        docker_mtu=90_000,
        docker_metrics_address=":9323",
        docker_extra_ca_bundle="/nowhere/ca.pem",
    )

    assert done.returncode != 0
    assert 'docker_log_max_size is "10 MB": it must be a number and k, m or g' in done.stdout
    assert "docker_mtu is 90000: it must be from 576 to 65535" in done.stdout
    assert 'docker_metrics_address is ":9323": it must be an address and a port' in done.stdout
    assert 'docker_extra_ca_bundle is "/nowhere/ca.pem": there is no such file' in done.stdout
    assert host.file(DAEMON_JSON).content == before
