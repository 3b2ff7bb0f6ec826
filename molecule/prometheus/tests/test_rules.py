"""The rules pass their tests with this Debian's promtool; the desk has another version of it."""

from pathlib import Path

import pytest
import testinfra

ROOT = Path(__file__).resolve().parents[3]
TESTS = sorted(path.stem for path in ROOT.glob("prometheus/tests/*.yml"))


@pytest.mark.parametrize("name", TESTS)
def test_the_rules_pass_their_tests(name: str) -> None:
    host = testinfra.get_host("docker://shill-prometheus-trixie")
    for path in ROOT.glob("prometheus/*/*.yml"):
        copy = f"/tmp/prometheus/{path.parent.name}/{path.name}"  # noqa: S108
        host.check_output(
            "mkdir --parents $(dirname %s) && printf %%s %s >%s", copy, path.read_text(), copy
        )
    host.check_output("promtool test rules /tmp/prometheus/tests/%s.yml", name)
