"""A certificate comes from an ACME authority: Pebble, which Let's Encrypt made for tests.

On each host by another challenge, before the others' options; afterwards they are as they were
provisioned. Route 53 is moto's, which serves no DNS: there Pebble takes every answer for right.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import testinfra
from testinfra.host import Host

from tests.s3 import session

Ansible = Callable[..., CompletedProcess[str]]

SERVED = (
    "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null"
    " | openssl x509 -noout -issuer -serial -ext subjectAltName"
)
CONFIGURATION = {
    "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": "/root/pebble.pem",
        "privateKey": "/root/pebble.key",
        "httpPort": 80,
        "tlsPort": 443,
    }
}


@pytest.fixture(scope="module", params=["http", "route53"])
def challenge(request: pytest.FixtureRequest) -> str:
    """How the host shows that the name is its own."""
    return str(request.param)


@pytest.fixture(scope="module")
def host(challenge: str) -> Host:
    """The older Debian, whose certbot is the older one; its boto3 cannot be sent to moto."""
    debian = {"http": "bookworm", "route53": "trixie"}[challenge]
    return testinfra.get_host(f"docker://shill-edge-{debian}")


@pytest.fixture(scope="module")
def zone(request: pytest.FixtureRequest, host: Host, challenge: str) -> Iterator[None]:
    """A zone for the name, and the host's way to it."""
    if challenge == "http":
        yield
        return
    aws = request.getfixturevalue("s3")
    route53 = session().client("route53", endpoint_url=aws.environment["AWS_ENDPOINT_URL"])
    route53.create_hosted_zone(Name="edge.example", CallerReference="tests")
    known = {
        name.lower() if "_KEY" in name else name.removeprefix("AWS_").lower(): value
        for name, value in aws.environment.items()
    }
    lines = "\n".join(["[default]", *(f"{name}={value}" for name, value in known.items())])
    host.check_output("mkdir --parents /root/.aws && echo %s >/root/.aws/config", lines)
    yield
    host.check_output("rm -r /root/.aws")


@pytest.fixture(scope="module")
def pebble(
    host: Host, challenge: str, converge: Ansible, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """An authority on the host; yields the file with the certificate of its directory."""
    host.check_output(
        "DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes"
        " --no-install-recommends pebble"
    )
    host.check_output("echo 127.0.0.1 edge.example >>/etc/hosts")
    host.check_output("echo %s >/root/pebble.json", json.dumps(CONFIGURATION))
    host.check_output(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2"
        " -addext subjectAltName=DNS:localhost -keyout /root/pebble.key -out /root/pebble.pem"
    )
    host.check_output(
        "systemd-run --quiet --collect --unit=pebble --setenv=PEBBLE_VA_NOSLEEP=1"
        " --setenv=PEBBLE_WFE_NONCEREJECT=0 --setenv=PEBBLE_VA_ALWAYS_VALID=%s"
        " pebble -config /root/pebble.json",
        str(int(challenge == "route53")),
    )
    file = tmp_path_factory.mktemp("pebble") / "authority.pem"
    subprocess.run(["docker", "cp", f"{host.backend.name}:/root/pebble.pem", file], check=True)
    yield file
    done = converge()
    assert done.returncode == 0, done.stdout
    host.check_output("systemctl stop pebble")


@pytest.fixture(scope="module")
def issued(pebble: Path, zone: None, challenge: str, converge: Ansible) -> CompletedProcess[str]:
    """The role, run with that authority."""
    del zone
    return converge(
        edge_acme_challenge=challenge,
        edge_names=["edge.example"],
        edge_certificate_source="acme",
        edge_acme_email="ops@edge.example",
        edge_acme_directory="https://localhost:14000/dir",
        edge_acme_authority_file=str(pebble),
    )


def test_the_authority_s_certificate_is_served(issued: CompletedProcess[str], host: Host) -> None:
    assert issued.returncode == 0, issued.stdout
    host.check_output(f"until {SERVED} | grep --quiet 'Pebble Intermediate'; do sleep 0.2; done")
    assert "DNS:edge.example" in host.check_output(SERVED)


@pytest.mark.usefixtures("issued")
def test_the_challenge_is_answered_where_the_option_says(host: Host, challenge: str) -> None:
    log = host.file("/var/log/letsencrypt/letsencrypt.log").content_string
    in_zone = "ChangeResourceRecordSets" in log and "_acme-challenge.edge.example" in log
    assert in_zone == (challenge == "route53")


@pytest.mark.usefixtures("issued")
def test_it_is_renewed_when_it_is_time_and_not_before(host: Host) -> None:
    before = host.check_output(SERVED)
    assert host.check_output("shill-edge-certificate") == ""
    assert host.check_output(SERVED) == before
    # Certbot looks for the end of the lineage's certificate: one that has 10 days left.
    host.check_output(
        "cd /etc/letsencrypt/live/shill-edge && openssl req -new -key privkey.pem"
        " -subj /CN=edge.example -addext subjectAltName=DNS:edge.example"
        " | openssl x509 -req -signkey privkey.pem -days 10 -copy_extensions copy"
        " -out $(readlink --canonicalize cert.pem)"
    )
    assert host.check_output("shill-edge-certificate") == "There is a new certificate."
    host.check_output(f'until [ "$({SERVED})" != %s ]; do sleep 0.2; done', before)
    assert "Pebble Intermediate" in host.check_output(SERVED)
