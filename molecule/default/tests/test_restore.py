"""What the lab's host loses, an archive brings back; whatever is wrong with one changes nothing.

Last: the host is not as it was provisioned afterwards.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from testinfra.host import Host

from demo.lab import Lab, LabError
from drill.traffic import RECORD
from tests.s3 import BUCKET, DistantS3

Ask = Callable[..., tuple[int, str, Any]]
Eventually = Callable[[Callable[[], bool]], bool]

ARCHIVES = "/var/backups/shill/shill-lab"
SERVER = "docker ps --all --quiet --filter label=shill.service=model-server"
SERIAL = (
    "openssl s_client -connect 127.0.0.1:8443 </dev/null 2>/dev/null | openssl x509 -noout -serial"
)


@dataclass(frozen=True)
class Lost:
    """What the host had when its archive was written."""

    predictions: list[str]
    certificate: str


def restore(**options: object) -> str:
    """Run restore.yml; returns what it printed, or why it failed."""
    extra = " ".join(f"{name}={value}" for name, value in options.items())
    try:
        return Lab().playbook("restore.yml", f"--extra-vars={extra}")
    except LabError as error:
        return " ".join(str(error).split())


def status(ask: Ask) -> int:
    """Of an answer; 0 where there is none."""
    try:
        return ask("/model")[0]
    except OSError:
        return 0


@pytest.fixture(scope="module")
def archived(host: Host, ask: Ask) -> Lost:
    """Write an archive of a host that has been asked."""
    predictions = [
        ask("/predict", {"auction_id": "1", **RECORD})[2]["prediction_id"] for _ in range(50)
    ]
    assert "bytes." in Lab().playbook("backup.yml")
    return Lost(predictions, host.check_output(SERIAL))


@pytest.fixture(scope="module")
def lost(archived: Lost, host: Host) -> Lost:
    """Lose the host's data: it is as new, and knows no key."""
    host.check_output(
        f"docker stop $({SERVER}) && cd /var/lib/shill && rm --recursive predictions/* keys/*"
        " && cd /etc/shill-edge && rm --force * && shill-edge-certificate"
        f" && docker start $({SERVER})"
    )
    return archived


@pytest.mark.usefixtures("archived")
def test_nobody_but_who_has_the_private_key_can_read_an_archive(host: Host) -> None:
    newest = host.check_output(f"ls {ARCHIVES}/*.age | tail -n 1")
    assert host.check_output(f"head -c 21 {newest}") == "age-encryption.org/v1"
    assert host.file(newest).mode == 0o600
    assert host.run("grep --recursive --quiet 'PRIVATE KEY' /var/backups /etc/shill-backup").failed


@pytest.mark.usefixtures("archived")
def test_a_host_that_has_predictions_is_left_alone() -> None:
    assert "has predictions of this host" in restore()


def test_an_archive_is_tested_before_anything_is_stopped(
    lost: Lost, host: Host, tmp_path: Path
) -> None:
    del lost
    started = host.check_output(
        "docker inspect --format '{{.State.StartedAt}}' $(docker ps --quiet)"
    )
    newest = host.check_output(f"ls {ARCHIVES}/*.age | tail -n 1")
    host.check_output(f"head -c 5000 {newest} >{ARCHIVES}/2000-torn.tar.zst.age")
    other = tmp_path / "other"
    other.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
        )
    )

    for options in (
        {"backup_identity_file": other},
        {"backup_restore_archive": "2000-torn.tar.zst.age"},
    ):
        assert "cannot be read with this private key, or is not whole" in restore(**options)
    assert "name the file on the controller" in restore(backup_identity_file="/nowhere")
    again = host.check_output("docker inspect --format '{{.State.StartedAt}}' $(docker ps --quiet)")
    assert again == started


def test_it_brings_back_all_that_was_acknowledged_and_the_keys(
    lost: Lost, host: Host, ask: Ask, eventually: Eventually
) -> None:
    said = restore()
    assert "is restored" in said
    log = host.check_output("cat /var/lib/shill/predictions/dt=*/*.jsonl")
    assert [id_ for id_ in lost.predictions if log.count(f'"{id_}"') != 1] == []
    eventually(lambda: status(ask) == 200)
    assert host.check_output(SERIAL) == lost.certificate


def test_an_archive_in_s3_is_as_good(s3: DistantS3) -> None:
    options = {"backup_target": f"s3://{BUCKET}/backups", "backup_environment": s3.environment}
    Lab().playbook("site.yml", "--tags=backup", f"--extra-vars={json.dumps(options)}")
    assert "bytes." in Lab().playbook("backup.yml")
    assert s3.objects("backups/shill-lab/")
    assert "is restored" in restore(backup_restore_over=True)
