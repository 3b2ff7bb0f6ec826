"""Has a candidate score what the server in production scores, and compares both.

Arguments: the candidate's URL and container, the directory of the prediction log, the file that
the comparison is written to, for how many seconds, and how many predictions there must have been.
Every other second the lines that were added to the log are sent to the candidate, by dry runs: it
logs and counts nothing, and no client waits for it. A line of JSON for each prediction is written
to the file, and a summary is printed; `fault` says what is wrong with the candidate. Standard
library only: the role model_server runs it on the host.
"""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

PAUSE_SECONDS = 2
BATCH = 500
"""Predictions that the candidate is asked for at once."""

Line = dict[str, Any]
"""A line of the prediction log."""


class Log:
    """What is added to a prediction log from now on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[Path, int] = {}
        for segment in self._segments():
            self._read[segment] = segment.stat().st_size

    def _segments(self) -> list[Path]:
        return sorted(self._directory.glob("dt=*/[!.]*.jsonl"))

    def added(self) -> Iterator[Line]:
        """Yield the whole lines that were added since the last call."""
        for segment in self._segments():
            try:
                with segment.open("rb") as file:
                    file.seek(self._read.get(segment, 0))
                    lines = file.readlines()
            except FileNotFoundError:
                continue  # deleted as too old, or as empty
            whole = [line for line in lines if line.endswith(b"}\n")]
            self._read[segment] = self._read.get(segment, 0) + sum(map(len, whole))
            yield from map(json.loads, whole)


class Refused(Exception):  # noqa: N818
    """The candidate does not score what it was asked."""


def client(url: str, key: str) -> Callable[[list[Line]], list[Line]]:
    """Return what asks the candidate for predictions of lines, or raises `Refused`."""

    def ask(lines: list[Line]) -> list[Line]:
        request = urllib.request.Request(  # noqa: S310
            f"{url}/predict_batch?dry_run=true",
            data=json.dumps([line["record"] for line in lines]).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                predictions: list[Line] = json.load(answer)["predictions"]
                return predictions
        except urllib.error.HTTPError as error:
            raise Refused(f"{error.code} {json.load(error)['detail']}") from error

    return ask


class Comparison:
    """How the candidate's predictions differ from those in production.

    Args:
        ask: Asks the candidate; raises `Refused`, or OSError where it does not answer.
        pairs: Is written a line for each prediction.
    """

    def __init__(self, ask: Callable[[list[Line]], list[Line]], pairs: TextIO) -> None:
        self._ask = ask
        self._pairs = pairs
        self.refusal = ""
        self.refused = 0
        self.differences: list[float] = []
        self.flagged = 0
        self.flagged_by_candidate = 0
        self.other_verdicts = 0

    def add(self, lines: list[Line]) -> None:
        """Compare the predictions of so many lines."""
        for begin in range(0, len(lines), BATCH):
            batch = lines[begin : begin + BATCH]
            try:
                scored = list(zip(batch, self._ask(batch), strict=True))
            except Refused:
                # All are refused for the sake of one: which?
                scored = [pair for line in batch for pair in self._alone(line)]
            for current, candidate in scored:
                self._compare(current, candidate)

    def _alone(self, line: Line) -> list[tuple[Line, Line]]:
        try:
            return [(line, self._ask([line])[0])]
        except Refused as refusal:
            self.refused += 1
            self.refusal = str(refusal)
            return []

    def _compare(self, current: Line, candidate: Line) -> None:
        self.differences.append(abs(candidate["probability"] - current["probability"]))
        verdicts = int(current["prediction"]), int(candidate["prediction"])
        self.flagged += verdicts[0]
        self.flagged_by_candidate += verdicts[1]
        self.other_verdicts += verdicts[0] != verdicts[1]
        pair = {
            "prediction_id": current["prediction_id"],
            "probability": current["probability"],
            "prediction": verdicts[0],
            "candidate_probability": candidate["probability"],
            "candidate_prediction": verdicts[1],
        }
        self._pairs.write(json.dumps(pair) + "\n")

    def summary(self, least: int) -> dict[str, Any]:
        """Return what a person wants to know; `least` predictions there must have been."""
        count = len(self.differences)
        fault = ""
        if self.refused:
            asked = count + self.refused
            fault = f"it refuses {self.refused} of {asked} records that were scored: {self.refusal}"
        elif count < least:
            fault = (
                f"only {count} of {least} predictions were made meanwhile: give it more time "
                "(model_server_shadow_seconds), or be content with fewer "
                "(model_server_shadow_predictions)"
            )
        return {
            "fault": fault,
            "predictions": count,
            "refused": self.refused,
            "flagged": self.flagged,
            "flagged_by_candidate": self.flagged_by_candidate,
            "other_verdicts": self.other_verdicts,
            "mean_difference": round(sum(self.differences) / count, 6) if count else 0.0,
            "largest_difference": round(max(self.differences, default=0.0), 6),
        }


def main(
    url: str, container: str, directory: str, output: str, seconds: float, least: int
) -> dict[str, Any]:
    """Compare for so long; returns what to print."""
    key = subprocess.run(  # noqa: S603
        ["docker", "exec", container, "cat", "/dev/shm/shill-metrics/local-key"],  # noqa: S607, S108
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    log = Log(Path(directory))
    end = time.monotonic() + seconds
    with Path(output).open("w") as pairs:
        comparison = Comparison(client(url, key), pairs)
        while time.monotonic() < end:
            time.sleep(PAUSE_SECONDS)
            try:
                comparison.add(list(log.added()))
            except OSError as error:
                return comparison.summary(0) | {"fault": f"it does not answer: {error}"}
    return comparison.summary(least)


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:5], float(sys.argv[5]), int(sys.argv[6]))))  # noqa: T201
