"""What the guide is walked through with, where AWS and its machines are not. All of it is here:

- AWS is moto's server; what that lacks is switched off (LACKING, of tests.terraform.chain).
- The instance's machine is one of the lab's hosts: a Debian in a container, bare. Variables beside
  site.yml, in the reader's checkout, say how it is reached, and give it what an instance has by its
  role: credentials.
- The reader is not asked: Terraform takes yes for an answer, and tfvars as they are.
- Both images come from archives, since other tests have built them, and the data is small.
- The CloudWatch agent is the stand-in of its role's scenario, which sends nothing.
- Grafana is left out where its image cannot be had.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests.guide.walk import Step, commands, section, walk
from tests.moto_server import moto_server
from tests.terraform.chain import CREDENTIALS, LACKING, REGION, there_is

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
HOST = "shill-guide"


def run(*command: str | Path, **variables: str) -> str:
    """Run a command of this checkout's; what it wrote is the error's text if it fails."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bare Debian host; yields its address."""
    inventory = tmp_path_factory.mktemp("machine")
    (inventory / "group_vars").symlink_to(ROOT / "inventory/group_vars")
    hosts = {"lab": {"hosts": {HOST: {"lab_debian": "trixie"}}}}
    (inventory / "hosts.json").write_text(json.dumps(hosts))

    def play(playbook: str) -> None:
        run(
            *(BIN / "ansible-playbook", "--inventory", inventory / "hosts.json"),
            ROOT / "molecule/shared" / playbook,
            ANSIBLE_CONFIG=str(ROOT / "ansible/ansible.cfg"),
        )

    play("destroy.yml")
    play("create.yml")
    yield run("docker", "inspect", "--format={{.NetworkSettings.IPAddress}}", HOST).strip()
    play("destroy.yml")


@pytest.fixture(scope="session")
def aws(machine: str) -> Iterator[str]:
    """AWS, at an address that the machine reaches too."""
    assert machine
    gateway = run("docker", "inspect", "--format={{.NetworkSettings.Gateway}}", HOST).strip()
    with moto_server(gateway) as url:
        yield url


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, machine: str) -> Path:
    """The reader's home: yours, without what the guide writes there."""
    made = tmp_path_factory.mktemp("home")
    for entry in Path.home().iterdir():
        if entry.name not in (".aws", ".curlrc", ".shill-vault", ".ssh"):
            (made / entry.name).symlink_to(entry)
    (made / ".ssh").mkdir(mode=0o700)
    # Elastic addresses of an emulator lead nowhere.
    (made / ".curlrc").write_text(f'connect-to = "::{machine}:443"\n')
    return made


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """Variables that bring the images along."""
    images = {"serving": "model-server", "drift": "drift", "review": "review-desk"}
    for dockerfile, name in images.items():
        run("molecule/shared/image", f"flask_app/{dockerfile}/Dockerfile", f"shill/{name}")
    drift = str(ROOT / ".cache/image/drift.tar")
    return {
        "container_image_source": "archive",
        "model_server_image_archive": str(ROOT / ".cache/image/model-server.tar"),
        "evidently_cron_image_archive": drift,
        "prediction_archive_image_archive": drift,
        "review_desk_image_archive": str(ROOT / ".cache/image/review-desk.tar"),
    }


@pytest.fixture(scope="session")
def agent(machine: str) -> dict[str, str]:
    """Variables that name the stand-in for AWS's agent, on the machine."""
    assert machine
    run("docker", "cp", "molecule/cloudwatch_agent/stand-in", f"{HOST}:/root/stand-in")
    where = "/srv/cloudwatch-agent"
    fingerprint = run("docker", "exec", HOST, "/root/stand-in", where).split()[-1]
    return {
        "cloudwatch_agent_package": f"file://{where}/agent.deb",
        "cloudwatch_agent_key": f"file://{where}/key.asc",
        "cloudwatch_agent_key_fingerprint": fingerprint,
    }


@pytest.fixture(scope="session")
def checkout(
    tmp_path_factory: pytest.TempPathFactory,
    machine: str,
    aws: str,
    images: dict[str, str],
    agent: dict[str, str],
) -> Path:
    """A new checkout, of what is in this one and would be committed."""
    made = tmp_path_factory.mktemp("reader") / "checkout"
    made.mkdir()
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for file in filter(os.path.lexists, filter(None, files)):
        target = made / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, target, follow_symlinks=False)
    (made / ".cache").mkdir()
    (made / ".cache/lab").symlink_to(ROOT / ".cache/lab")  # what images here are built on

    variables = ROOT / "inventory/group_vars"
    lab, instance = (
        yaml.safe_load((variables / name).read_text()) for name in ("lab.yml", "aws_ec2.yml")
    )
    engine = {
        "docker_daemon_options": instance["docker_daemon_options"] | lab["docker_daemon_options"]
    }
    role = CREDENTIALS | {"AWS_REGION": REGION, "AWS_ENDPOINT_URL": aws}
    standin = {
        "ansible_docker_host": HOST,
        "model_server_bind": f"{machine}:8000",
        "node_exporter_bind": f"{machine}:9100",
        "docker_metrics_address": f"{machine}:9323",
        "_aws_environment": role,
        "grafana_required": False,
    }
    instead = made / "ansible/group_vars/aws_ec2.yml"
    instead.parent.mkdir()
    instead.write_text(yaml.safe_dump(lab | engine | standin | images | agent))
    return made


@pytest.fixture(scope="session")
def read(
    provided: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    home: Path,
    aws: str,
    checkout: Path,
) -> Callable[[Sequence[str]], list[Step]]:
    """Runs commands as the reader."""
    data = tmp_path_factory.mktemp("data") / "auctions.csv"
    run(sys.executable, "-m", "flask_app", "simulate", "--auctions", "150", "--output", data)
    answers = "-auto-approve -input=false -no-color"
    reader = (
        provided
        | CREDENTIALS
        | {
            "HOME": str(home),
            "AWS_ENDPOINT_URL": aws,
            "SHILL_DATASET": str(data),
            "TF_VAR_emulated": "true",
            "TF_CLI_ARGS_apply": answers,
            "TF_CLI_ARGS_destroy": answers,
            **{f"TF_VAR_{name}": json.dumps(value) for name, value in LACKING.items()},
        }
    )
    for variable in ("VIRTUAL_ENV", "ANSIBLE_CONFIG", "MAKEFLAGS", "MAKELEVEL"):
        reader.pop(variable, None)
    return lambda steps: walk(steps, checkout, reader)


@pytest.fixture(scope="session")
def before(aws: str) -> dict[str, set[str]]:
    """What is in an empty account."""
    return there_is(aws)


@pytest.fixture(scope="session")
def deployed(
    read: Callable[[Sequence[str]], list[Step]], before: dict[str, set[str]]
) -> list[Step]:
    """docs/deployment.md, walked through."""
    assert before
    if not shutil.which("aws"):
        pytest.skip("no aws on PATH: install the AWS command line to walk the guide through")
    return read(commands((ROOT / "docs/deployment.md").read_text()))


@pytest.fixture(scope="session")
def removed(read: Callable[[Sequence[str]], list[Step]], deployed: list[Step]) -> list[Step]:
    """And then the end of docs/terraform.md."""
    assert deployed
    remove = commands(section(ROOT / "docs/terraform.md", "Remove it all"))
    return read(
        [
            ". .venv/bin/activate",
            "export AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1",
            "cd terraform",
            *remove,
        ]
    )
