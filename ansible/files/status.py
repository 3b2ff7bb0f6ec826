"""Prints how this host is, a line for each thing: run by status.yml as root. Standard library only.

Arguments: where the model server and Alertmanager listen, host:port, or nothing where they are
elsewhere.
"""

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SECONDS = 5
DAY = 86400
TEXTFILES = Path("/var/lib/node_exporter/textfile")
KEYS = Path("/var/lib/shill/keys/keys.json")
DEPLOYS = Path("/var/log/shill/deploy.log")
SOON_DAYS = 30


def _ask(url: str) -> Any:
    """Return the JSON that a URL answers with, a refusal's too."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def _server(address: str) -> str:
    ready = _ask(f"http://{address}/ready")
    if "model_version" not in ready:
        return f"NOT READY: {ready['detail']}"
    told = f"ready, model {ready['model_version']}, release {ready['release'] or '-'}"
    log = ready["prediction_log"]
    return (
        told
        + (", NO KEYS NEEDED" if ready["authentication"] == "off" else "")
        + (f", LOG {log.upper()}" if log != "writing" else "")
    )


def _alerts(address: str) -> str:
    firing = _ask(f"http://{address}/api/v2/alerts?active=true")
    names = sorted({alert["labels"]["alertname"] for alert in firing} - {"Watchdog"})
    return ", ".join(names) or "none"


def _samples() -> dict[str, float]:
    """What jobs have left for node exporter."""
    lines = (line for file in TEXTFILES.glob("*.prom") for line in file.read_text().splitlines())
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def _ago(timestamp: float) -> str:
    minutes = (time.time() - timestamp) / 60
    return f"{minutes:.0f} min ago" if minutes < 120 else f"{minutes / 60:.0f} h ago"  # noqa: PLR2004


def _drift() -> str:
    found = _samples()
    if "shill_drift_last_success_timestamp_seconds" not in found:
        return "never scored"
    told = _ago(found["shill_drift_last_success_timestamp_seconds"])
    score = found.get("shill_data_drift_score")
    if score is None:
        return f"not scored, {told}"
    features = found.get("shill_drifted_features", 0)
    return f"score {score:.2f} (alarm from 0.5), {features:.0f} features drifted, {told}"


def _certificate() -> str:
    ends = [v for name, v in _samples().items() if name.startswith("shill_certificate_not_after")]
    return f"ends in {(min(ends) - time.time()) / DAY:.0f} days" if ends else "none"


def _backup() -> str:
    found = _samples()
    if "shill_backup_last_success_timestamp_seconds" not in found:
        return "none"
    success = found["shill_backup_last_success_timestamp_seconds"]
    size = found["shill_backup_archive_bytes"] / 2**20
    return f"{_ago(success)}, {size:.0f} MiB" if success else "EVERY ONE HAS FAILED"


def _disk() -> str:
    usage = shutil.disk_usage("/var/lib")
    return f"{usage.used / usage.total:.0%} of {usage.total / 2**30:.0f} GiB used"


def _last_deploy() -> str:
    lines = DEPLOYS.read_text().splitlines() if DEPLOYS.exists() else []
    return lines[-1] if lines else "none"


def _keys() -> str:
    held = json.loads(KEYS.read_text())["keys"] if KEYS.exists() else []
    now = datetime.now(UTC)
    in_force, soon = 0, []
    for key in held:
        ends = datetime.fromisoformat(key["expires_at"]) if key["expires_at"] else None
        if key["revoked_at"] or (ends and ends <= now):
            continue
        in_force += 1
        if ends and (ends - now).days < SOON_DAYS:
            soon.append(f"{key['name']} ({key['id']}) ends in {(ends - now).days} days")
    return "; ".join([f"{in_force} in force", *soon])


def _containers() -> str:
    listed = ["docker", "ps", "--all", "--format", "{{.Names}} ({{.Status}})"]
    done = subprocess.run(  # noqa: S603
        listed, capture_output=True, text=True, check=True
    )
    return ", ".join(sorted(done.stdout.splitlines())) or "none"


def lines(server_address: str, alertmanager_address: str) -> Iterator[tuple[str, str]]:
    """Yield what there is to tell; what cannot be told says why."""
    wanted: list[tuple[str, Callable[[], str]]] = []
    if server_address:
        wanted += [
            ("server", lambda: _server(server_address)),
            ("last deploy", _last_deploy),
            ("drift", _drift),
            ("keys", _keys),
        ]
    wanted += [("containers", _containers), ("disk", _disk)]
    wanted += [("certificate", _certificate), ("backup", _backup)]
    if alertmanager_address:
        wanted.append(("alerts", lambda: _alerts(alertmanager_address)))
    for name, tell in wanted:
        try:
            told = tell()
        except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
            told = f"CANNOT BE TOLD: {error}"
        yield name, told


if __name__ == "__main__":
    for name, told in lines(*sys.argv[1:]):
        print(f"{name:<12} {told}")  # noqa: T201
