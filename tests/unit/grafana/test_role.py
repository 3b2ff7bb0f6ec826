"""The role grafana takes only passwords that nobody guesses, and says what is wrong with others."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

REASONS = {
    "": "is not set",
    "k7#wq!": "has 6 characters",
    "changeme-changeme": "is one that everybody guesses",
    "Admin12345678": "is one that everybody guesses",
    "prom-operator": "is one that everybody guesses",
    "123456789012": "is one that everybody guesses",
    " purple-monkey-17-dishwasher": "begins or ends with blanks",
    "correct-horse-41-battery": None,
    "Administrators-42-cats": None,
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By password, what Ansible prints: one run, in which each host has another password."""
    hosts = {
        f"host{number}": {"grafana_admin_password": password, "ansible_connection": "local"}
        for number, password in enumerate(REASONS)
    }
    inventory = tmp_path_factory.mktemp("inventory") / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    done = subprocess.run(
        [
            *[Path(sys.executable).with_name("ansible"), "all", f"--inventory={inventory}"],
            *["--module-name=include_role", "--args=name=grafana tasks_from=password"],
        ],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg")},
    )
    parts = re.split(r"^(host\d+) \| ", done.stdout, flags=re.MULTILINE)[1:]
    printed = {host: " ".join(text.split()) for host, text in zip(*[iter(parts)] * 2, strict=True)}
    return {password: printed.get(f"host{n}", "") for n, password in enumerate(REASONS)}


@pytest.mark.parametrize(("password", "reason"), REASONS.items())
def test_a_password_is_taken_or_refused_with_the_reason(
    password: str, reason: str | None, said: dict[str, str]
) -> None:
    if reason is None:
        assert said[password].startswith("SUCCESS")
        return
    assert f"grafana_admin_password {reason}" in said[password]
    assert "openssl rand" in said[password]


@pytest.mark.parametrize("password", [password for password in REASONS if password])
def test_no_password_is_printed(password: str, said: dict[str, str]) -> None:
    assert password not in said[password]
