"""site.yml says what is missing before it changes anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ANSIBLE = Path(__file__).parents[2] / "ansible"


def provision(inventory: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, "site.yml"],
        cwd=ANSIBLE,
        env=os.environ | {"ANSIBLE_NOCOLOR": "true"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("content", ["", "web_servers:\n  hosts:\n    web-1:\n"])
def test_an_inventory_without_hosts_to_provision_is_a_failure(tmp_path: Path, content: str) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(content)

    done = provision(str(inventory), TF_VAR_project_name="auctions", TF_VAR_environment="staging")

    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "hosts.yml has no host in the groups model_servers and monitoring" in said
    assert "Project=auctions and Environment=staging" in said


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r/blob/HEAD/docs/runbooks"),
        ("https://secret@github.com/o/r", "https://github.com/o/r/blob/HEAD/docs/runbooks"),
        ("git@git.example.com:o/r.git", "https://git.example.com/o/r/blob/HEAD/docs/runbooks"),
        ("ssh://git@git.example.com:22/o/r", "https://git.example.com/o/r/blob/HEAD/docs/runbooks"),
        ("/srv/git/r", "docs/runbooks"),
    ],
)
def test_alerts_link_to_runbooks_where_the_checkout_came_from(
    tmp_path: Path, origin: str, url: str
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", origin], check=True)
    (tmp_path / "hosts.yml").write_text("monitoring:\n  hosts:\n    localhost:\n")
    (tmp_path / "group_vars").symlink_to(ANSIBLE.parent / "inventory" / "group_vars")

    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible"),
            *("monitoring", "-i", str(tmp_path / "hosts.yml"), "--playbook-dir", str(tmp_path)),
            *("-c", "local", "-m", "debug", "-a", "var=prometheus_runbooks_url"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"ANSIBLE_NOCOLOR": "true", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
    )

    assert f'"prometheus_runbooks_url": "{url}"' in done.stdout, done.stdout + done.stderr
