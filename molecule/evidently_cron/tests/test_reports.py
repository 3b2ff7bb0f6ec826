"""The reports can be read in a browser on the host, and from nowhere else."""

import pytest
from testinfra.host import Host

ASK = """
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], 8001, timeout=10)
connection.request("GET", sys.argv[2])
response = connection.getresponse()
print(response.status, response.read().decode())
"""


@pytest.fixture(scope="module")
def address(host: Host) -> str:
    """The host's own address."""
    return host.check_output("hostname --ip-address").split()[0]


def ask(host: Host, path: str) -> tuple[int, str]:
    """Status and body of an answer."""
    status, _, body = host.check_output("python3 -c %s 127.0.0.1 %s", ASK, path).partition(" ")
    return int(status), body


def latest(host: Host) -> str:
    """Name of the latest report."""
    return host.check_output("ls /var/lib/shill/reports | grep --fixed-strings Z | tail -n 1")


def test_an_index_leads_to_the_latest_report(host: Host) -> None:
    status, index = ask(host, "/")
    assert status == 200
    assert f"{latest(host)}/" in index


def test_a_report_and_its_summary_are_served(host: Host) -> None:
    status, report = ask(host, f"/{latest(host)}/report.html")
    assert status == 200
    assert len(report) > 1_000_000, "it is drawn by a script that it brings along"
    status, summary = ask(host, f"/{latest(host)}/summary.json")
    assert status == 200
    assert latest(host) in summary


def test_they_are_served_on_the_loopback_alone(host: Host, address: str) -> None:
    assert "ConnectionRefusedError" in host.run("python3 -c %s %s /", ASK, address).stderr
    assert host.socket("tcp://127.0.0.1:8001").is_listening


@pytest.mark.parametrize("path", ["/../predictions/", "/%2e%2e/models/production.json"])
def test_nothing_beside_them_is_served(host: Host, path: str) -> None:
    assert ask(host, path)[0] == 404


def test_who_serves_them_is_nobody_and_sees_nothing_else(host: Host) -> None:
    process = host.check_output("systemctl show --property=MainPID --value shill-reports")
    assert host.process.get(pid=int(process)).user not in ("root", "shill")
    seen = host.check_output(f"nsenter --target {process} --mount ls -A /var/lib/shill")
    assert seen == "reports"
    write = f"nsenter --target {process} --mount touch /var/lib/shill/reports/x /etc/x"
    assert host.run(write).stderr.count("Read-only file system") == 2
    assert host.check_output(
        f"awk '/^CapEff|^CapBnd/ {{print $2}}' /proc/{process}/status"
    ).split() == [
        "0" * 16,
        "0" * 16,
    ]
