"""What the edge offers, as testssl.sh sees it from outside. Before test_options.py changes it."""

import json

import pytest
import testinfra
from testinfra.host import Host

OF_THE_LAB = {
    "engine_problem",  # testssl.sh's own OpenSSL knows no GOST
    # Supported or not, it is INFO; worse where testssl.sh could not check, since its client may
    # close before a ticket of TLS 1.3 has come.
    "sessionresumption_ticket",
    "cert_revocation",  # the host's authority keeps no list; a public one does
    "DNS_CAArecord",  # localhost has no DNS records
}


@pytest.fixture(scope="module")
def host() -> Host:
    """The newer Debian, whose testssl.sh rates."""
    return testinfra.get_host("docker://shill-edge-trixie")


def test_a_scan_of_the_edge_gives_it_an_a_and_no_finding_that_matters(host: Host) -> None:
    host.check_output(
        "DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes"
        " --no-install-recommends bsdextrautils bind9-dnsutils testssl.sh"
    )
    # Its exit status tells of no fault of the edge.
    host.run(
        "rm --force /root/scan.json; testssl --quiet --color 0 --warnings off"
        " --add-ca /etc/shill-edge/authority.pem --jsonfile /root/scan.json https://localhost:443"
    )
    found = json.loads(host.file("/root/scan.json").content_string)
    assert [one["finding"] for one in found if one["id"] == "overall_grade"] == ["A+"]
    findings = {one["id"] for one in found if one["severity"] not in ("OK", "INFO")}
    assert findings <= OF_THE_LAB
