"""What an image is built from decides its tag, and nothing else does."""

import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from roles.container_image.files.image_context import ROOT, context_files, image_tag, write_tar

SERVER = "flask_app/serving/Dockerfile"
DRIFT = "flask_app/drift/Dockerfile"
REVIEW = "flask_app/review/Dockerfile"
DOCKERFILES = sorted(
    path.relative_to(ROOT).as_posix() for path in ROOT.glob("flask_app/*/Dockerfile")
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the images' contexts are taken from."""
    copy = tmp_path / "checkout"
    for dockerfile in DOCKERFILES:
        for name in [f"{dockerfile}.dockerignore", *context_files(dockerfile)]:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


def test_the_server_s_context_is_serving_code_without_training_tests_or_caches() -> None:
    files = context_files(SERVER)
    assert {SERVER, "flask_app/cli.py", "requirements/serve.txt"} <= set(files)
    unwanted = ("flask_app/data/", "flask_app/training/", "tests/", ".git", "requirements.txt")
    assert not [name for name in files if name.startswith(unwanted) or "__pycache__" in name]
    assert [n for n in files if n.startswith("flask_app/commands/")] == [
        "flask_app/commands/__init__.py",
        "flask_app/commands/keys.py",
        "flask_app/commands/model.py",
        "flask_app/commands/profiles.py",
        "flask_app/commands/site.py",
        "flask_app/commands/table.py",
    ]


def test_the_drift_job_s_context_is_its_code_without_server_and_training() -> None:
    files = context_files(DRIFT)
    assert {DRIFT, "flask_app/commands/drift.py", "requirements/drift.txt"} <= set(files)
    unwanted = ("flask_app/data/", "flask_app/serving/", "flask_app/training/", "tests/")
    assert not [name for name in files if name.startswith(unwanted) or "__pycache__" in name]


@pytest.mark.parametrize(
    ("dockerfile", "modules"),
    [
        (SERVER, "flask_app.serving.asgi, flask_app.commands.model, flask_app.commands.profiles"),
        (DRIFT, "flask_app.commands.drift, flask_app.commands.ship"),
        (REVIEW, "flask_app.review.gunicorn_conf, flask_app.commands.review"),
    ],
)
def test_a_context_alone_can_be_imported(tmp_path: Path, dockerfile: str, modules: str) -> None:
    write_tar(dockerfile, tmp_path / "context.tar")
    with tarfile.open(tmp_path / "context.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    subprocess.run([sys.executable, "-c", f"import {modules}"], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    "pin",
    ["ARG BASE_IMAGE=.*@sha256:[0-9a-f]{64}", r"ARG DEBIAN_SNAPSHOT=\d{8}T\d{6}Z"],
)
def test_all_images_are_built_on_one_base_and_one_snapshot(pin: str) -> None:
    pinned = re.compile(f"^{pin}$", re.MULTILINE)
    found = [pinned.findall((ROOT / name).read_text()) for name in DOCKERFILES]
    assert [len(lines) for lines in found] == [1] * len(DOCKERFILES)
    assert len({lines[0] for lines in found}) == 1


def test_an_unchanged_tree_keeps_its_tags_wherever_it_lies(checkout: Path) -> None:
    for dockerfile in DOCKERFILES:
        assert image_tag(dockerfile, checkout) == image_tag(dockerfile)


@pytest.mark.parametrize("name", [SERVER, "requirements/serve.txt"])
def test_a_changed_file_changes_the_tag(checkout: Path, name: str) -> None:
    before = image_tag(SERVER, checkout)
    (checkout / name).write_text("changed")
    assert image_tag(SERVER, checkout) != before


def test_a_renamed_file_changes_the_tag(checkout: Path) -> None:
    before = image_tag(SERVER, checkout)
    (checkout / "flask_app/cli.py").rename(checkout / "flask_app/cli2.py")
    assert image_tag(SERVER, checkout) != before


def test_another_base_image_changes_the_tag() -> None:
    assert image_tag(SERVER, base_image="debian:bookworm-slim") != image_tag(SERVER)


@pytest.mark.parametrize(
    ("dockerfile", "name"),
    [
        (SERVER, "extra-ca.pem"),
        (SERVER, "docs/new.md"),
        (SERVER, "flask_app/training/x.py"),
        (SERVER, "flask_app/drift/x.py"),
        (SERVER, "flask_app/__pycache__/x.pyc"),
        (DRIFT, "flask_app/serving/x.py"),
        (DRIFT, "requirements/serve.txt"),
    ],
)
def test_what_an_image_does_not_contain_leaves_its_tag_alone(
    checkout: Path, dockerfile: str, name: str
) -> None:
    before = image_tag(dockerfile, checkout)
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("anything")
    assert image_tag(dockerfile, checkout) == before


def test_the_written_context_is_the_same_to_the_byte_each_time(tmp_path: Path) -> None:
    write_tar(SERVER, tmp_path / "one.tar")
    write_tar(SERVER, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_a_context_can_be_piped_into_a_build(tmp_path: Path) -> None:
    write_tar(SERVER, tmp_path / "context.tar")
    script = [
        sys.executable,
        "roles/container_image/files/image_context.py",
        SERVER,
        "--tar=/dev/stdout",
    ]
    piped = subprocess.run(script, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    assert piped == (tmp_path / "context.tar").read_bytes()
