"""What an image is built from decides its tag, and nothing else does."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from flask_app.image_context import ROOT, context_files, image_tag, write_tar


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the image's context is taken from."""
    copy = tmp_path / "checkout"
    for name in [".dockerignore", *context_files()]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    return copy


def test_the_context_is_serving_code_without_training_tests_or_caches() -> None:
    files = context_files()
    assert {"flask_app/Dockerfile", "flask_app/cli.py", "requirements/serve.txt"} <= set(files)
    unwanted = ("flask_app/data/", "flask_app/training/", "tests/", ".git", "requirements.txt")
    assert not [name for name in files if name.startswith(unwanted) or "__pycache__" in name]
    assert [n for n in files if n.startswith("flask_app/commands/")] == [
        "flask_app/commands/__init__.py",
        "flask_app/commands/model.py",
        "flask_app/commands/table.py",
    ]


def test_the_context_alone_can_be_imported_as_the_server(tmp_path: Path) -> None:
    write_tar(tmp_path / "context.tar")
    with tarfile.open(tmp_path / "context.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    imports = "import flask_app.serving.asgi, flask_app.commands.model"
    subprocess.run([sys.executable, "-c", imports], cwd=tmp_path, check=True)


def test_an_unchanged_tree_keeps_its_tag_wherever_it_lies(checkout: Path) -> None:
    assert image_tag(checkout) == image_tag()


@pytest.mark.parametrize("name", ["flask_app/Dockerfile", "requirements/serve.txt"])
def test_a_changed_file_changes_the_tag(checkout: Path, name: str) -> None:
    before = image_tag(checkout)
    (checkout / name).write_text("changed")
    assert image_tag(checkout) != before


def test_a_renamed_file_changes_the_tag(checkout: Path) -> None:
    before = image_tag(checkout)
    (checkout / "flask_app/cli.py").rename(checkout / "flask_app/cli2.py")
    assert image_tag(checkout) != before


def test_another_base_image_changes_the_tag() -> None:
    assert image_tag(base_image="debian:bookworm-slim") != image_tag()


@pytest.mark.parametrize(
    "name",
    ["extra-ca.pem", "docs/new.md", "flask_app/training/x.py", "flask_app/__pycache__/x.pyc"],
)
def test_what_the_image_does_not_contain_leaves_its_tag_alone(checkout: Path, name: str) -> None:
    before = image_tag(checkout)
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("anything")
    assert image_tag(checkout) == before


def test_the_written_context_is_the_same_to_the_byte_each_time(tmp_path: Path) -> None:
    write_tar(tmp_path / "one.tar")
    write_tar(tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
