"""Whatever bytes come in, each client gets its own answers, and nothing passes the edge unseen.

Set FUZZ_CASES for more, FUZZ_SEED for others.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

CASES = int(os.environ.get("FUZZ_CASES", "1500"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
NEVER = ("answered twice", "answers of others", "never closed")


@pytest.mark.usefixtures("backend")
def test_no_bytes_get_a_client_another_s_answer(host: Host, ask: Callable[..., Any]) -> None:
    program = (Path(__file__).parent / "fuzz.py").read_text()
    found = json.loads(host.check_output("python3 -c %s %s %s", program, str(SEED), str(CASES)))
    print(found)  # noqa: T201 - worth a line in the report
    assert {name: found.get(name, 0) for name in NEVER} == dict.fromkeys(NEVER, 0)
    assert found["200"] > CASES / 20
    assert [status for status in found if status.startswith("5") and status != "503"] == []
    assert ask("/ready").json["smuggled"] == 0
