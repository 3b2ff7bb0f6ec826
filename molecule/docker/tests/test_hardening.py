"""What is closed on every host, and what keeps itself current."""

from collections.abc import Callable, Iterator
from subprocess import CompletedProcess

import pytest
from testinfra.host import Host

Converge = Callable[..., CompletedProcess[str]]


def test_security_updates_install_themselves(host: Host, converge: Converge) -> None:
    """Not on the lab's hosts: an update in between would be one more thing that happens to them."""
    ask = "apt-config dump --format '%v' APT::Periodic::Unattended-Upgrade"
    assert host.check_output(ask) == "0"
    assert converge("--tags=hardening", hardening_automatic_updates=True).returncode == 0
    assert host.check_output(ask) == "1"
    assert host.service("apt-daily-upgrade.timer").is_enabled
    said = host.check_output("unattended-upgrade --dry-run --debug 2>&1")
    allowed = next(line for line in said.splitlines() if line.startswith("Allowed origins"))
    assert "label=Debian-Security" in allowed
    assert converge("--tags=hardening").returncode == 0


def test_the_ssh_server_takes_keys_alone(host: Host) -> None:
    ask = "ssh -v -o StrictHostKeyChecking=no -o BatchMode=yes nobody@localhost true 2>&1"
    said = host.run(ask).stdout
    assert "Authentications that can continue: publickey\n" in said.replace("\r", "")


def test_the_kernel_takes_no_redirects(host: Host) -> None:
    for setting in ("all.accept_redirects", "default.accept_redirects", "all.send_redirects"):
        assert host.sysctl(f"net.ipv4.conf.{setting}") == 0


def test_the_time_comes_from_where_the_option_says(host: Host) -> None:
    assert host.service("systemd-timesyncd").is_enabled
    said = host.check_output("systemd-analyze cat-config systemd/timesyncd.conf")
    assert "NTP=169.254.169.123" in said.splitlines()


def test_the_clock_is_kept(host: Host) -> None:
    if host.run("systemd-detect-virt --container").succeeded:
        pytest.skip(
            "a container has no clock of its own, so systemd-timesyncd was enabled but kept none"
        )
    assert host.service("systemd-timesyncd").is_running


@pytest.fixture
def metadata(host: Host) -> Iterator[str]:
    """Something that answers where an instance's credentials are, as EC2 does; its address."""
    address = "169.254.169.254"
    host.check_output(f"ip address add {address}/32 dev lo")
    serve = f"python3 -m http.server --bind {address} --directory /usr/share/misc 80"
    host.check_output(f"systemd-run --quiet --unit=metadata {serve}")
    wait = f"until true </dev/tcp/{address}/80; do sleep 0.1; done"
    host.check_output(f"timeout 30 bash -c '{wait}' 2>/dev/null")
    yield address
    host.check_output("systemctl stop metadata")
    host.check_output(f"ip address delete {address}/32 dev lo")


def test_credentials_are_for_who_needs_them(host: Host, converge: Converge, metadata: str) -> None:
    """Grafana's container is on the host's network, and so near them as the model server's."""

    def may_ask(user: int) -> bool:
        connect = f"timeout 5 bash -c '</dev/tcp/{metadata}/80'"
        done = host.run(f"setpriv --reuid={user} --clear-groups {connect}")
        assert done.succeeded or "Connection refused" in done.stderr, done.stderr
        return bool(done.succeeded)

    assert {user: may_ask(user) for user in (0, 100, 472, 1000, 10001)} == {
        0: True, 100: True, 472: False, 1000: False, 10001: True,
    }  # fmt: skip
    assert host.service("hardening-credentials").is_enabled  # also after a reboot
    assert converge("--tags=hardening", hardening_credentials_denied=[]).returncode == 0
    assert may_ask(472)
    assert converge("--tags=hardening").returncode == 0
    assert not may_ask(472)


def test_who_comes_with_a_password_is_not_locked_out(host: Host, converge: Converge) -> None:
    before = host.file("/etc/ssh/sshd_config.d/10-hardening.conf").mtime
    done = converge("--tags=hardening", ansible_password="secret-word")  # noqa: S106
    assert done.returncode != 0
    assert "set hardening_sshd to false" in " ".join(done.stdout.split())
    assert "secret-word" not in done.stdout + done.stderr
    assert host.file("/etc/ssh/sshd_config.d/10-hardening.conf").mtime == before


def test_the_ssh_server_is_left_alone_where_the_option_says_so(
    host: Host, converge: Converge
) -> None:
    assert converge("--tags=hardening", hardening_sshd=False).returncode == 0
    assert not host.file("/etc/ssh/sshd_config.d/10-hardening.conf").exists
    assert "passwordauthentication yes" in host.check_output("sshd -T").splitlines()
