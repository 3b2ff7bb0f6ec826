"""The rules pass their tests with this Debian's promtool; the desk has another version of it."""

from pathlib import Path

import pytest
from testinfra.host import Host

testinfra_hosts = ["docker://shill-prometheus-trixie"]

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["service", "model", "host", "burn"])
def test_the_rules_pass_their_tests(host: Host, name: str) -> None:
    for path in ROOT.glob("prometheus/*/*.yml"):
        copy = f"/tmp/prometheus/{path.parent.name}/{path.name}"  # noqa: S108
        host.check_output(
            "mkdir --parents $(dirname %s) && printf %%s %s >%s", copy, path.read_text(), copy
        )
    host.check_output("promtool test rules /tmp/prometheus/tests/%s.yml", name)
