"""node exporter listens at the host's own address, even if the host gets it late or reboots."""

import re
from collections.abc import Callable

import pytest
from testinfra.host import Host

Eventually = Callable[[Callable[[], bool]], bool]
Get = Callable[[str], str]

UNIT = "prometheus-node-exporter"


@pytest.fixture
def address(host: Host) -> str:
    """The host's own address, with its prefix; skips where the exporter is a container."""
    if not host.exists("prometheus-node-exporter"):
        pytest.skip("here, node exporter is a container at the loopback")
    found = re.search(r"inet (\S+)", host.check_output("ip -4 address show dev eth0"))
    assert found
    return found[1]


def answers(get: Get, address: str) -> bool:
    try:
        return "node_boot_time_seconds" in get(f"http://{address.partition('/')[0]}:9100/metrics")
    except AssertionError:
        return False


def test_it_waits_for_an_address_that_comes_late(
    host: Host, get: Get, address: str, eventually: Eventually
) -> None:
    route = host.check_output("ip -4 route show default")
    host.check_output(f"ip address del {address} dev eth0")
    try:
        host.run(f"systemctl restart {UNIT}")
        restarts = f"systemctl show --property=NRestarts --value {UNIT}"
        # systemd's own limit is 5 starts.
        eventually(lambda: int(host.check_output(restarts)) > 5)
    finally:
        host.check_output(f"ip address add {address} dev eth0 && ip route replace {route}")
    eventually(lambda: answers(get, address))


def test_it_is_there_again_after_a_reboot(
    host: Host, get: Get, address: str, eventually: Eventually
) -> None:
    started = "cut --delimiter=' ' --fields=22 /proc/1/stat"
    boot = host.check_output(started)
    host.run("systemctl reboot")
    eventually(lambda: host.run(started).stdout.strip() not in ("", boot))
    # The engine may give the container another address; it gets its own late.
    host.run(f"ip address add {address} dev eth0")
    eventually(lambda: answers(get, address))
