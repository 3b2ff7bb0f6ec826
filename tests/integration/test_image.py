"""The image runs under the bounds that the role sets, and holds nothing that it does not need."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from flask_app.model.bundle import Bundle
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle
from tests.integration.images import build

IMAGE = ("flask_app/serving/Dockerfile", "shill/model-server")
BOUNDS = [
    "--read-only",
    "--tmpfs=/tmp:mode=1777",
    "--env=SHILL_AUTHENTICATION=off",
    "--env=SHILL_LOG_DIR=/tmp/predictions",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges:true",
    "--memory=512m",
    "--pids-limit=128",
]


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image() -> str:
    """The image of this checkout, built where there is an engine."""
    return build(*IMAGE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DirectoryStore:
    """A store with a model in production, readable by the image's user."""
    directory = tmp_path_factory.mktemp("image")
    store = DirectoryStore(directory / "models", Bundle)
    store.promote(store.publish(make_bundle(directory)))
    for path in [*directory.parents[:2], directory, store.path]:
        path.chmod(path.stat().st_mode | 0o755)
    return store


@pytest.fixture(scope="module")
def server(image: str, store: DirectoryStore) -> Iterator[str]:
    """A running container's id."""
    container = docker(
        *("run", "--detach", "--publish=127.0.0.1::8000", f"--volume={store.path}:/models:ro"),
        *(*BOUNDS, image),
    )
    yield container
    docker("rm", "--force", container)


def ask(server: str, path: str, body: object = None) -> Any:
    address = docker("port", server, "8000/tcp").splitlines()[0]
    request = urllib.request.Request(
        f"http://{address}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    for _ in range(60):
        try:
            return json.load(urllib.request.urlopen(request, timeout=10))  # noqa: S310
        except OSError:
            time.sleep(0.5)
    logs = subprocess.run(["docker", "logs", server], capture_output=True, text=True, check=False)
    pytest.fail(logs.stdout + logs.stderr)


def test_it_predicts_the_golden_rows(server: str, store: DirectoryStore) -> None:
    (version,) = store.versions()
    rows = json.loads((store.path / version / "manifest.json").read_text())["golden_rows"]
    records = [{"auction_id": "golden", **row["features"]} for row in rows]
    answer = ask(server, "/predict_batch", records)
    assert [p["probability"] for p in answer["predictions"]] == pytest.approx(
        [row["probability"] for row in rows], abs=1e-6
    )


def test_its_own_health_check_tells_ready_from_not_ready(server: str, image: str) -> None:
    check = json.loads(docker("inspect", "--format={{json .Config.Healthcheck.Test}}", image))[1:]
    ask(server, "/ready")
    docker("exec", server, *check)
    elsewhere = ["docker", "exec", "--env=SHILL_BIND=127.0.0.1:1", server, *check]
    assert subprocess.run(elsewhere, capture_output=True, check=False).returncode != 0


def test_the_model_commands_run_without_network(image: str, store: DirectoryStore) -> None:
    (version,) = store.versions()
    verify = ["python", "-m", "flask_app", "model", "verify", version]
    mount = f"--volume={store.path}:/models:ro"
    assert version in docker("run", "--rm", "--network=none", mount, *BOUNDS, image, *verify)


def test_it_can_ask_s3_with_a_role_and_knows_no_other_service(image: str) -> None:
    program = (
        "import botocore.session, flask_app.s3 as s3\n"
        "print(botocore.session.get_session().get_available_services())\n"
        "try:\n"
        "    s3.S3Folder('s3://bucket').get('name')\n"
        "except s3.S3Error as error:\n"
        "    print(error)"
    )
    environment = (
        "--env=AWS_ENDPOINT_URL=http://127.0.0.1:9",
        "--env=AWS_ACCESS_KEY_ID=x",
        "--env=AWS_SECRET_ACCESS_KEY=x",
    )
    answer = docker("run", "--rm", *BOUNDS, *environment, image, "python", "-c", program)
    services, error = answer.splitlines()
    assert services == "['s3', 'sts']"
    assert "s3://bucket/name cannot be read (Could not connect" in error


def test_it_holds_neither_tools_nor_the_certificates_that_the_build_trusted(image: str) -> None:
    look = (
        "for tool in pip pip3 gcc cc curl wget; do command -v $tool; done;"
        "ls -d /build /usr/share/ca-certificates /usr/local/share/ca-certificates/*;"
        # What botocore trusts S3 by is its own.
        "find / -xdev -name '*ca*.pem' -not -path '/proc/*' -not -path '*/botocore/cacert.pem'"
    )
    done = subprocess.run(
        ["docker", "run", "--rm", image, "sh", "-c", look], stdout=subprocess.PIPE, check=False
    )
    assert done.stdout == b""


def test_it_runs_as_nobody_in_particular(image: str) -> None:
    assert docker("run", "--rm", image, "id", "-u") == "10001"


def test_the_same_tree_is_built_once(image: str) -> None:
    before = docker("inspect", "--format={{.Id}} {{.Created}}", image)
    assert build(*IMAGE, DOCKER_BUILDKIT="0") == image
    assert docker("inspect", "--format={{.Id}} {{.Created}}", image) == before


def test_a_stopped_container_has_ended_by_itself(server: str) -> None:
    """Last, because it ends the server: SIGTERM is enough, no kill is needed."""
    ask(server, "/ready")
    docker("stop", "--time=45", server)
    assert docker("inspect", "--format={{.State.ExitCode}}", server) == "0"
