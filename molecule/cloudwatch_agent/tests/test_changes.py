"""Only what was verified is installed, only what the agent takes is configured, off is off."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import testinfra
from testinfra.host import Host

from tests.s3 import BUCKET, DistantS3

Role = Callable[..., CompletedProcess[str]]
State = Callable[[], tuple[str, ...]]

SERVICE = "amazon-cloudwatch-agent"
SRV = "/srv/cloudwatch-agent"

REFUSED = {
    "what the signature of another file is beside": (
        {"cloudwatch_agent_package": f"file://{SRV}/forged.deb"},
        "forged.deb is not signed by",
    ),
    "what another key has signed, which comes with it": (
        {
            "cloudwatch_agent_package": f"file://{SRV}/stranger.deb",
            "cloudwatch_agent_key": f"file://{SRV}/stranger.asc",
        },
        "stranger.deb is not signed by",
    ),
    "what has another sha256": (
        {
            "cloudwatch_agent_package": f"file://{SRV}/newer.deb",
            "cloudwatch_agent_sha256": "0" * 64,
        },
        f"but cloudwatch_agent_sha256 is {'0' * 64}",
    ),
}


@pytest.fixture(scope="module")
def host() -> Host:
    """One of the two: the agent is verified, installed and configured on both, by converge.yml."""
    return testinfra.get_host("docker://shill-cloudwatch_agent-trixie")


@pytest.fixture(scope="module")
def newer(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newer package and its signature, on the controller."""
    package = tmp_path_factory.mktemp("package") / "newer.deb"
    for path in (package, package.with_suffix(".deb.sig")):
        source = f"{host.backend.name}:{SRV}/{path.name}"
        subprocess.run(["docker", "cp", "--quiet", source, path], check=True)
    return package


@pytest.fixture
def archived(s3: DistantS3, newer: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """That package in an S3 that the host reaches; only the controller knows credentials."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    for path in (newer, newer.with_suffix(".deb.sig")):
        s3.write(f"aws/{path.name}", path.read_bytes())
    return f"s3://{BUCKET}/aws/{newer.name}"


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_verified_is_not_installed(
    host: Host, role: Role, state: State, what: str
) -> None:
    before = state()
    options, said = REFUSED[what]

    done = role(":install", **options)

    assert done.returncode != 0
    assert said in " ".join(done.stdout.split())
    assert state() == before
    assert host.check_output("find /tmp -name '*.cloudwatch-agent'") == ""


def test_bad_options_are_named_all_at_once_and_change_nothing(role: Role, state: State) -> None:
    before = state()

    done = role(
        cloudwatch_agent_region="Frankfurt",
        cloudwatch_agent_log_groups="",
        cloudwatch_agent_logs=[],
        cloudwatch_agent_metrics={"node": []},
        cloudwatch_agent_version="newest",
        cloudwatch_agent_package="agent.deb",
        cloudwatch_agent_key="key.asc",
        cloudwatch_agent_key_fingerprint="3B789C72",
    )

    assert done.returncode != 0
    for name in ("region", "log_groups", "logs", "metrics", "version", "package", "key"):
        assert f"cloudwatch_agent_{name} is " in done.stdout
    assert "cloudwatch_agent_key_fingerprint is " in done.stdout
    assert state() == before


def test_a_configuration_that_the_agent_refuses_does_not_replace_the_old_one(
    host: Host, role: Role, state: State
) -> None:
    if not host.file(f"{SRV}.schema.json").exists:
        pytest.skip("AWS's schema is not beside the checkout: set CLOUDWATCH_AGENT_SCHEMA to it")
    before = state()

    done = role(":configure", cloudwatch_agent_namespace="x" * 256)

    assert done.returncode != 0
    assert "Invalid Json input schema" in done.stdout
    assert state() == before


@pytest.mark.parametrize("gone", ["agent.deb", "agent.deb.sig"])
def test_what_was_verified_once_stays_though_it_cannot_be_fetched_again(
    host: Host, role: Role, gone: str
) -> None:
    host.check_output(f"mv {SRV}/{gone} {SRV}/gone")

    done = role(":install")

    host.check_output(f"mv {SRV}/gone {SRV}/{gone}")
    assert done.returncode == 0, done.stdout
    assert "changed=0 " in done.stdout


def test_another_package_at_the_same_url_is_installed_by_the_next_run(
    host: Host, role: Role
) -> None:
    """As `latest` is another one after each of AWS's releases."""
    files = "for s in '' .sig; do mv agent.deb$s old.deb$s; cp newer.deb$s agent.deb$s; done"
    host.check_output(f"cd {SRV} && {files}")
    upgraded = role(":install")
    version = host.package(SERVICE).version
    host.check_output(f"cd {SRV} && for s in '' .sig; do mv old.deb$s agent.deb$s; done")
    back = role(":install")

    assert upgraded.returncode == back.returncode == 0, upgraded.stdout + back.stdout
    assert version == "0.0.1+standin"
    assert host.package(SERVICE).version == "0.0.0+standin"


def test_a_package_with_the_pinned_sha256_on_the_controller_takes_the_old_one_s_place(
    host: Host, role: Role, state: State, newer: Path
) -> None:
    before = state()
    sha256 = hashlib.sha256(newer.read_bytes()).hexdigest()

    # Nothing to verify a signature with.
    done = role(
        cloudwatch_agent_package=str(newer),
        cloudwatch_agent_sha256=sha256,
        cloudwatch_agent_key="",
        cloudwatch_agent_logs=["drift"],
    )

    assert done.returncode == 0, done.stdout
    assert host.package(SERVICE).version == "0.0.1+standin"
    assert host.service(SERVICE).is_running
    assert [old == new for old, new in zip(before, state(), strict=True)] == [False] * 4


def test_the_signed_package_of_a_bucket_is_fetched_by_a_host_without_credentials(
    host: Host, role: Role, archived: str
) -> None:
    done = role(":install", cloudwatch_agent_package=archived)

    assert done.returncode == 0, done.stdout
    assert "X-Amz-Signature" not in done.stdout
    assert archived in host.file("/etc/amazon-cloudwatch-agent.package").content_string
    assert host.service(SERVICE).is_running


# Last: it stays off.
def test_off_it_is_stopped_and_stays_so(host: Host, role: Role) -> None:
    first = role(cloudwatch_agent_enabled=False)
    second = role(cloudwatch_agent_enabled=False)

    assert first.returncode == second.returncode == 0
    assert not host.service(SERVICE).is_running
    assert not host.service(SERVICE).is_enabled
    assert "changed=0 " in second.stdout
