"""Measure what the edge costs: `python -m bench.edge`, as root, with the lab of `make up`.

Clients in the lab's network ask the model server itself, and through nginx with TLS, in turns, over
16 connections that they keep. The rates are those of the whole host: clients, nginx and server
share its processors.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from bench.serving.__main__ import EDGE, PAGE, RESULTS
from bench.serving.report import behind_the_edge, page
from demo.lab import Lab
from drill.traffic import RECORD

ROUNDS = 7
SECONDS = 3.0
CLIENTS = 16
TARGETS = {
    "the server itself": "http://127.0.0.1:8000",
    "through the edge": Lab.edge,
}

Figures = Mapping[str, float]


def main() -> int:
    """Run the benchmark; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.edge", description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help="keep the figures for the docs")
    options = parser.parse_args()
    edge = {
        "date": datetime.now(UTC).date().isoformat(),
        "clients": CLIENTS,
        "seconds": SECONDS,
        "rounds": _rounds(Lab()),
    }
    print(behind_the_edge(edge))
    if options.write_docs:
        EDGE.write_text(json.dumps(edge, indent=1) + "\n")
        PAGE.write_text(page(json.loads(RESULTS.read_text()), edge))
    return 0


def _rounds(lab: Lab) -> list[dict[str, Figures]]:
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder, "body")
        body.write_text(json.dumps({"auction_id": "bench", **RECORD}))
        return [
            {name: _crowd(lab, url, body) for name, url in TARGETS.items()} for _ in range(ROUNDS)
        ]


def _crowd(lab: Lab, url: str, body: Path) -> Figures:
    """Let a crowd ask within the lab's network; raises RuntimeError for an answer but 200."""
    state = subprocess.run(
        ["docker", "inspect", "--format={{.State.Pid}}", lab.container],
        capture_output=True,
        text=True,
        check=True,
    )
    options = [f"--clients={CLIENTS}", f"--seconds={SECONDS}"]
    if url.startswith("https"):
        options.append(f"--authority={lab.files / 'authority.pem'}")
    done = subprocess.run(
        [
            *("nsenter", f"--target={state.stdout.strip()}", "--net", sys.executable, "-m"),
            *("bench.serving.crowd", f"{url}/predict", str(body)),
            *(f"--key-file={lab.files / 'api-key'}", *options),
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    statuses = [name for name in figures if name.startswith("status_")]
    if statuses != ["status_200"]:
        raise RuntimeError(f"{url} answered {figures}: nothing else may run on the lab meanwhile")
    return figures


if __name__ == "__main__":
    sys.exit(main())
