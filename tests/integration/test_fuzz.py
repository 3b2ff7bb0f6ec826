"""Schemathesis finds no request that the OpenAPI document does not foresee."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.integration.conftest import Figure
from tests.integration.server import Server

ROOT = Path(__file__).parents[2]
CASES = int(os.environ.get("FUZZ_CASES", "1000"))
# Shares of the cases by what they cost to make; the first run adds what varies little.
SHARES = {"/predict": 0.5, "/predict_batch": 0.2, "/score_auction": 0.12, "/feedback": 0.14}

HOOKS = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.integration.fuzz_hooks"}


def schemathesis(server: Server, report: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{server.url}/openapi.json",
        "--checks=all",
        "--no-color",
        "--report=json",
        f"--report-json-path={report}",
        *options,
    ]
    with report.with_suffix(".log").open("wb") as output:
        return subprocess.Popen(
            command, stdout=output, stderr=output, cwd=report.parent, env=os.environ | HOOKS
        )


def test_no_request_is_answered_otherwise_than_documented(
    server: Server, tmp_path: Path, record_property: Figure
) -> None:
    runs = {tmp_path / "all.json": schemathesis(server, tmp_path / "all.json", "--max-examples=20")}
    for path, share in SHARES.items():
        report = tmp_path / f"{path[1:]}.json"
        runs[report] = schemathesis(
            server,
            report,
            "--phases=fuzzing",
            f"--include-path={path}",
            f"--max-examples={int(CASES * share)}",
        )
    generated = 0
    for report, process in runs.items():
        assert process.wait() == 0, report.with_suffix(".log").read_text()
        cases = json.loads(report.read_text())["test_cases"]
        assert (cases["with_failures"], cases["errored"]) == (0, 0)
        generated += cases["generated"]
    server_errors = {
        key: value
        for key, value in server.metrics().items()
        if key[0] == "shill_http_request_duration_seconds_count"
        and dict(key[1])["status"].startswith("5")
        and value
    }
    record_property("schemathesis", f"{generated} cases")
    assert server_errors == {}
    assert generated >= CASES
