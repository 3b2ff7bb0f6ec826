"""Prometheus's configuration, rendered by the role's template."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

OPTIONS = {
    "prometheus_external_labels": {"site": "eu"},
    "prometheus_remote_write": [
        {
            "url": "https://metrics.example.com/write",
            "authorization": {"credentials_file": "/etc/prometheus/secrets/metrics"},
        }
    ],
    "prometheus_secrets": {"metrics": "correct horse"},
}


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["by default", "with everything"])
def test_promtool_accepts_it(
    options: dict[str, object], render: Callable[..., Path], tool: Callable[[str], str]
) -> None:
    path = render("prometheus.yml", **options)

    # The files that it names are not here.
    command = [tool("promtool"), "check", "config", "--syntax-only", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    written = yaml.safe_load(path.read_text())
    assert written["global"].get("external_labels") == options.get("prometheus_external_labels")
    assert written.get("remote_write") == options.get("prometheus_remote_write")
    assert "correct horse" not in path.read_text()
