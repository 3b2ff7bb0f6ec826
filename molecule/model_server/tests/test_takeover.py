"""A change reaches clients whole or not at all, and no request is refused meanwhile.

After test_server.py, because hosts are not as they were provisioned afterwards.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

from roles.container_image.files.image_context import context_files

Ansible = Callable[..., CompletedProcess[str]]
Container = Callable[[], dict[str, Any]]
Row = dict[str, Any]
State = Callable[[], tuple[str, ...]]

ROOT = Path(__file__).resolve().parents[3]
BUNDLES = ROOT / ".cache" / "molecule" / "bundles"
DOCKERFILE = "flask_app/serving/Dockerfile"


@pytest.fixture(scope="module")
def host() -> Host:
    """One host: the other differs in engine and in image source, not in how it deploys."""
    return testinfra.get_host("docker://shill-model_server-trixie")


@contextmanager
def load(host: Host, key: str, row: Row) -> Iterator[dict[str, Any]]:
    """Clients that ask all the time; afterwards the dictionary tells what they got."""
    record = json.dumps({"auction_id": "load", **row["features"]})
    program = (Path(__file__).parent / "load.py").read_text()
    outcome: dict[str, Any] = {}
    with subprocess.Popen(
        ["docker", "exec", "-i", host.backend.name, "python3", "-c", program, key, record],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as clients:
        try:
            yield outcome
        finally:
            output, _ = clients.communicate()
            outcome.update(json.loads(output))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the image is built from."""
    beside = [f"{DOCKERFILE}.dockerignore", "roles/container_image/files/image_context.py"]
    for name in [*beside, *context_files(DOCKERFILE)]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


# The predictor itself is right, so the bundle loads; what the API makes of it is wrong.
WRONG = """
from flask_app.serving.scoring import LoadedModel
_score = LoadedModel.score
LoadedModel.score = lambda model, rows: _score(model, rows._replace(features=rows.features * 0))
"""


@pytest.fixture
def state(ask: Callable[..., Any], container: Container) -> State:
    """Return what must be the same where nothing was deployed."""

    def run() -> tuple[str, ...]:
        one = container()
        return one["Id"], one["State"]["StartedAt"], ask("/ready")["model_version"]

    return run


def logged(host: Host) -> int:
    """How many predictions the log holds."""
    return int(host.check_output("cat /var/lib/shill/predictions/dt=*/*.jsonl | wc --lines"))


def said(done: CompletedProcess[str]) -> str:
    """What Ansible printed, without the line breaks that it adds."""
    return " ".join(done.stdout.split())


def audit(host: Host) -> str:
    """The last line of the audit log."""
    return host.check_output("tail -n 1 /var/log/shill/deploy.log")


def test_a_new_release_takes_over_without_a_refused_or_lost_request(
    host: Host, key: str, container: Container, deploy: Ansible, golden_rows: list[Row]
) -> None:
    before, already = container(), logged(host)

    with load(host, key, golden_rows[0]) as clients:
        there = deploy(model_server_settings={"log_level": "warning"})
        after = container()
        back = deploy()

    assert there.returncode == back.returncode == 0, there.stdout + back.stdout
    assert clients["failures"] == {}
    assert clients["answered"] > 0
    print(clients)  # noqa: T201 - how many there were is worth a line in the report
    assert logged(host) - already == clients["answered"]
    assert "SHILL_LOG_LEVEL=warning" in after["Config"]["Env"]
    assert container()["Name"] == before["Name"] != after["Name"]
    assert "deployed" in audit(host)


@pytest.mark.parametrize(
    "fault",
    [
        ("raise RuntimeError('broken on purpose')", 10, "broken on purpose"),
        ("import time; time.sleep(3600)", 3, "did not get ready at http://127.0.0.1:8900"),
    ],
    ids=["ends", "hangs"],
)
def test_a_release_that_does_not_start_never_gets_to_clients(
    fault: tuple[str, int, str],
    host: Host,
    key: str,
    state: State,
    deploy: Ansible,
    golden_rows: list[Row],
    checkout: Path,
) -> None:
    before = state()
    line, seconds, told = fault
    with (checkout / "flask_app/serving/asgi.py").open("a") as source:
        source.write(f"\n{line}\n")

    with load(host, key, golden_rows[0]) as clients:
        done = deploy(
            container_image_checkout=str(checkout),
            model_server_ready_seconds=seconds,
        )

    assert done.returncode != 0
    assert told in said(done)
    assert "what served before goes on serving" in said(done)
    assert clients["failures"] == {}
    assert state() == before
    assert "failed" in audit(host)


def test_a_second_deploy_at_the_same_time_is_refused_until_the_lock_is_removed(
    host: Host, state: State, deploy: Ansible, ansible: Ansible
) -> None:
    before = state()
    lock = "/run/model-server-deploy.lock"
    host.check_output(f"ln -s '1 elsewhere someone' {lock}")
    done = deploy(model_server_settings={"log_level": "error"})
    unlocked = ansible(
        *("ansible", "all", "--become", "--module-name=include_role"),
        "--args=name=model_server tasks_from=unlock",
    )

    assert done.returncode != 0
    assert "held by 1 elsewhere someone" in said(done)
    assert "held by 1 elsewhere someone" in said(unlocked)
    assert not host.file(lock).is_symlink
    assert state() == before


def test_a_deploy_that_is_killed_after_the_switch_is_completed_by_the_next(
    host: Host, container: Container, deploy: Ansible
) -> None:
    def serving() -> list[str]:
        return host.check_output(
            "docker ps --filter label=shill.service=model-server --format '{{.Names}}'"
        ).split()

    before = container()["Name"]
    options = {"model_server_settings": {"log_level": "error"}}
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(deploy, **options)
        # A deploy takes as long as the machine lets it.
        while len(serving()) < 2:
            assert not first.done(), first.result().stdout
            time.sleep(0.2)
        pattern = (
            f"ansible-playbook .*model_server/converge.yml.*{host.backend.name.split('-')[-1]}"
        )
        subprocess.run(["pkill", "-KILL", "--full", pattern], check=True)
    assert first.result().returncode != 0
    # Both releases serve, unless it died while it drained the old one.
    assert host.file("/run/model-server-deploy.lock").is_symlink

    again = deploy(**options)

    assert again.returncode == 0, again.stdout
    assert container()["Name"] != before
    assert not host.file("/run/model-server-deploy.lock").is_symlink
    assert deploy().returncode == 0


def test_a_corrupt_bundle_is_refused_by_name_and_sum(
    state: State, deploy: Ansible, tmp_path: Path
) -> None:
    before = state()
    bundle = tmp_path / "bundle"
    shutil.copytree(BUNDLES / "1", bundle)
    model = bundle / "model.onnx"
    content = bytearray(model.read_bytes())
    content[100] ^= 1
    model.chmod(0o644)
    model.write_bytes(content)

    done = deploy(model_server_bundle=str(bundle))

    assert done.returncode != 0
    assert "model.onnx has sha256" in said(done)
    assert state() == before


def test_a_new_model_is_taken_up_without_a_restart_and_can_be_rolled_back(
    host: Host,
    key: str,
    state: State,
    deploy: Ansible,
    ansible: Ansible,
    golden_rows: list[Row],
) -> None:
    before = state()

    with load(host, key, golden_rows[0]) as clients:
        done = deploy(model_server_bundle=str(BUNDLES / "1"))
        assert done.returncode == 0, done.stdout
        promoted = state()

        done = ansible(
            *("ansible", "all", "--become", "--module-name=include_role"),
            "--args=name=model_server tasks_from=rollback",
            f"--extra-vars=model_server_rollback_to={before[2]}",
        )
        assert done.returncode == 0, done.stdout

    assert clients["failures"] == {}
    assert promoted[:2] == before[:2]
    assert promoted[2] != before[2]
    assert state() == before
    assert "rolled-back" in audit(host)


def test_neither_a_refused_release_nor_a_failed_promotion_moves_what_is_in_production(
    host: Host, state: State, deploy: Ansible, ansible: Ansible, checkout: Path
) -> None:
    """Model and release change together; afterwards the operator can still roll back."""
    first = state()
    assert deploy(model_server_bundle=str(BUNDLES / "1")).returncode == 0
    before = state()
    pointer = host.file("/var/lib/shill/models/production.json").content
    with (checkout / "flask_app/serving/asgi.py").open("a") as source:
        source.write(f"\n{WRONG}\n")

    refused = deploy(container_image_checkout=str(checkout), model_server_ready_seconds=10)
    host.check_output(
        "chown root:root /var/lib/shill/models/.lock && chmod 600 /var/lib/shill/models/.lock"
    )
    died = deploy()
    host.check_output("chown shill:shill /var/lib/shill/models/.lock")

    assert "its manifest says" in said(refused)
    assert "cannot be changed" in said(died)
    for done in (refused, died):
        assert "what served before goes on serving" in said(done)
    assert state() == before
    assert host.file("/var/lib/shill/models/production.json").content == pointer
    rolled_back = ansible(
        *("ansible", "all", "--become", "--module-name=include_role"),
        "--args=name=model_server tasks_from=rollback",
    )
    assert rolled_back.returncode == 0, rolled_back.stdout
    assert state() == first


def test_an_image_is_pulled_with_credentials_that_nobody_gets_to_see(
    host: Host, container: Container, deploy: Ansible
) -> None:
    host.check_output(
        "DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes"
        " --no-install-recommends docker-registry apache2-utils"
    )
    host.check_output("htpasswd -Bbc /etc/docker/registry/htpasswd puller s3cret-word")
    host.check_output("systemctl restart docker-registry")
    image = container()["Config"]["Image"]
    name = "127.0.0.1:5000/shill/model-server"
    pulled = f"{name}:{image.split(':')[1]}"
    host.check_output("docker login --username puller --password s3cret-word 127.0.0.1:5000")
    host.check_output(f"docker tag {image} {pulled} && docker push --quiet {pulled}")
    host.check_output(f"docker logout 127.0.0.1:5000 && docker rmi {pulled}")

    done = deploy(
        container_image_source="pull",
        model_server_image_name=name,
        container_image_registry="127.0.0.1:5000",
        container_image_registry_username="puller",
        container_image_registry_password="s3cret-word",  # noqa: S106
        model_server_settings={"workers": 1},
    )

    assert done.returncode == 0, done.stdout
    assert container()["Config"]["Image"] == pulled
    assert "s3cret-word" not in done.stdout + done.stderr
    assert "s3cret-word" not in json.dumps(container())
    assert "127.0.0.1:5000" not in host.run("cat /root/.docker/config.json").stdout
