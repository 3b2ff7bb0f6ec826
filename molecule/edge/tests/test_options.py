"""Options change what the edge does without closing it, and what nginx refuses changes nothing.

After test_edge.py, which leaves the hosts as they were provisioned. On one host; the last options
stay.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

Ask = Callable[..., Any]
Ansible = Callable[..., CompletedProcess[str]]

SERVED = (
    "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null"
    " | openssl x509 -noout -subject -ext subjectAltName"
)


@pytest.fixture(scope="module")
def host() -> Host:
    """One host: the other differs in nginx's release, which test_edge.py meets."""
    return testinfra.get_host("docker://shill-edge-trixie")


def said(done: CompletedProcess[str]) -> str:
    return " ".join(done.stdout.split())


def test_a_configuration_that_nginx_refuses_leaves_the_one_that_serves(
    host: Host, converge: Ansible, ask: Ask
) -> None:
    before = host.file("/etc/nginx/nginx.conf").content
    done = converge(edge_api="no;where")
    assert done.returncode != 0
    assert "host not found in upstream" in said(done)
    assert host.file("/etc/nginx/nginx.conf").content == before
    assert ask("/ready").status == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edge_names": []}, "name at least one host name"),
        ({"edge_certificate_source": "given"}, "edge_certificate_file is"),
        ({"edge_people": {"ann": "short"}}, "12 characters or more"),
        ({"edge_https_bind": "443"}, "it must be an address and a port"),
        (
            {
                "edge_certificate_source": "given",
                "edge_certificate_file": __file__,
                "edge_certificate_key_file": __file__,
            },
            "it is not the private key of the first certificate",
        ),
    ],
    ids=["names", "certificate", "password", "address", "pair"],
)
def test_options_are_checked_before_anything_changes(
    converge: Ansible, options: dict[str, object], message: str
) -> None:
    done = converge(**options)
    assert done.returncode != 0
    assert message in said(done)
    assert "changed=0" in done.stdout


def test_maintenance_begins_and_ends_without_a_reload(ansible: Ansible, ask: Ask) -> None:
    def maintenance(under_way: str) -> Any:
        done = ansible(
            *("ansible", "all", "--become", "--module-name=include_role"),
            "--args=name=edge tasks_from=maintenance",
            f"--extra-vars={{edge_maintenance: {under_way}}}",
        )
        assert done.returncode == 0, done.stdout
        return ask("/predict", method="POST", size=1)

    refused = maintenance("true")
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.json["detail"] == "maintenance is under way"
    assert maintenance("false").status == 200


def test_another_name_gets_another_certificate_without_a_restart(
    host: Host, converge: Ansible
) -> None:
    master = host.file("/run/nginx.pid").content_string
    done = converge(
        edge_names=["other.example", "localhost"],
        edge_people={},
        edge_requests_per_second_per_client=1,
    )
    assert done.returncode == 0, done.stdout
    host.check_output(f"until {SERVED} | grep --quiet other.example; do sleep 0.2; done")
    assert host.file("/run/nginx.pid").content_string == master


def test_without_people_there_are_no_pages_for_them(ask: Ask) -> None:
    assert ask("/reports/").status == ask("/review").status == 404


def test_a_client_that_asks_too_often_is_told_so(ask: Ask) -> None:
    answers = [ask("/ready") for _ in range(5)]
    (refused, *_) = (answer for answer in answers if answer.status != 200)
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.json["type"] == "/docs/errors#rate-limited"


def test_a_given_certificate_is_served_and_its_key_is_shown_nowhere(
    host: Host, converge: Ansible, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=given.example"
    subprocess.run(
        [*make.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    done = converge(
        edge_certificate_source="given",
        edge_certificate_file=str(certificate),
        edge_certificate_key_file=str(key),
    )
    assert done.returncode == 0, done.stdout
    assert "given.example" in host.check_output(SERVED)
    assert key.read_text().splitlines()[1] not in done.stdout
