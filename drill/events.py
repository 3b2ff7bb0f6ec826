"""What is done to the lab on purpose. Each event leaves it as it was, or as it repairs itself."""

import itertools
import json
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from demo.lab import ROOT, Lab, LabError, run, wait_for
from drill.traffic import RECORD
from flask_app.model.bundle import Bundle
from flask_app.store.directory_store import DirectoryStore

BUNDLES = ROOT / ".cache/molecule/bundles"
SLOW_CLIENTS = 1000
EAGER_CLIENTS = 500
SECONDS = 15.0
SERVERS = "docker ps --quiet --no-trunc --filter label=shill.service=model-server"
MASTER = "docker inspect --format '{{.State.Pid}}' $(" + SERVERS + ")"
UNIT = "systemctl show --property MainPID --value {}"

turns = itertools.count(1)


@dataclass(frozen=True)
class Event:
    """Something that happens.

    Attributes:
        name: As the table says it.
        cause: Brings it about; returns when it is over, or when the lab is to recover by itself.
        unnoticed: Whether no request may be refused or fail.
        short: Whether it belongs to the short form, which `make test` runs.
        fault: Whether it is one that nobody wants: it happens once, not until enough requests came.
    """

    name: str
    cause: Callable[[Lab], object]
    unnoticed: bool = True
    short: bool = False
    fault: bool = False


def quiet(lab: Lab) -> None:
    """Nothing: what the others are compared with."""
    del lab
    time.sleep(SECONDS)


def promote(lab: Lab) -> None:
    """Promote another model than the one that is served, and deploy it."""
    store = DirectoryStore(ROOT / ".cache/drill/models", Bundle)
    bundle = _other_bundle(lab)
    version = store.publish(bundle)
    lab.playbook(
        "promote.yml",
        f"--extra-vars=version={version}",
        environment={"SHILL_MODEL_STORE": str(store.path)},
    )


def roll_back(lab: Lab) -> None:
    """Go back to the model before."""
    lab.playbook("rollback.yml")


def release(lab: Lab) -> None:
    """Deploy a release that differs by a setting."""
    level = ("info", "warning")[next(turns) % 2]
    settings = {"model_server_settings": {"log_level": level}}
    lab.playbook("deploy.yml", _extra(**settings))


def canary(lab: Lab) -> None:
    """Deploy another model, which answers a share of the requests first."""
    lab.playbook(
        "canary.yml",
        _extra(
            model_server_bundle=str(_other_bundle(lab)),
            model_server_canary_percent=25,
            model_server_canary_seconds=10,
        ),
    )


def shadow(lab: Lab) -> None:
    """Have another model score the same records, and answer nobody."""
    lab.playbook(
        "shadow.yml",
        _extra(model_server_bundle=str(_other_bundle(lab)), model_server_shadow_seconds=10),
    )


def keys(lab: Lab) -> None:
    """Make a key, and revoke it."""
    file = lab.files / "drill-key"
    lab.playbook("keys.yml", _extra(model_server_key_name="drill", model_server_key_file=str(file)))
    try:
        key = file.read_text().split("_")[1]
        lab.playbook("keys.yml", _extra(model_server_key_revoke=key))
    finally:
        file.unlink()


def renew(lab: Lab) -> None:
    """Renew the certificate as the timer does when it is time."""
    said = _done(lab, "rm /etc/shill-edge/names && shill-edge-certificate")
    if "new certificate" not in said:
        raise LabError(f"the certificate was not renewed: {said}")
    time.sleep(1)


def rotate(lab: Lab) -> None:
    """Make a new key for the certificate."""
    lab.playbook("rotate_secrets.yml")


def upgrade(lab: Lab) -> None:
    """Install Debian's updates."""
    lab.playbook("upgrade.yml")


def reconfigure_edge(lab: Lab) -> None:
    """Change an option of nginx, which is reloaded."""
    seconds = 10 + next(turns) % 2
    lab.playbook("site.yml", "--tags=edge", _extra(edge_timeout_seconds=seconds))


def reconfigure_monitoring(lab: Lab) -> None:
    """Change an option of Prometheus, which is reloaded."""
    option = {"prometheus_external_labels": {"drill": str(next(turns) % 2)}}
    lab.playbook("site.yml", "--tags=prometheus", _extra(**option))


def maintain(lab: Lab) -> None:
    """Begin maintenance, and end it."""
    for under_way in (True, False):
        lab.playbook("maintenance.yml", _extra(edge_maintenance=under_way))


def restart_engine(lab: Lab) -> None:
    """Restart Docker, which leaves containers running."""
    _done(lab, "systemctl restart docker")


def kill(which: str) -> Callable[[Lab], None]:
    """Return what sends SIGKILL to the process whose id the shell finds by `which`."""

    def cause(lab: Lab) -> None:
        _done(lab, f"kill -KILL $({which})")

    return cause


def lose_names(lab: Lab) -> None:
    """Take away DNS for a while."""
    _done(lab, "cat /etc/resolv.conf >/root/resolv.conf && : >/etc/resolv.conf")
    try:
        time.sleep(SECONDS)
    finally:
        _done(lab, "cat /root/resolv.conf >/etc/resolv.conf")


def reboot(lab: Lab) -> None:
    """Reboot the host."""

    def booted() -> str:
        # In ticks: the second that ps makes of them may be another one when it is asked again.
        return lab.on_host("cut", "--delimiter= ", "--fields=22", "/proc/1/stat").stdout

    boot = booted()
    lab.on_host("systemctl", "reboot")
    # No command runs on the host while it is down.
    wait_for("the host to boot", lambda: booted() not in ("", boot))


def slow_clients(lab: Lab) -> None:
    """Open connections that send half a head, and wait until the edge has closed them all."""
    parts = urlsplit(lab.edge)
    with ExitStack() as held:
        connections = []
        for _ in range(SLOW_CLIENTS):
            plain = socket.create_connection((str(parts.hostname), parts.port or 443), timeout=60)
            connection = held.enter_context(
                lab.trusted.wrap_socket(plain, server_hostname=parts.hostname)
            )
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost:")
            connections.append(connection)
        for connection in connections:
            try:
                connection.recv(1)
            except ConnectionResetError:
                continue


def crowd(lab: Lab) -> None:
    """Have many more clients ask without a pause."""
    body = lab.files / "drill-body"
    body.write_text(json.dumps({"auction_id": "crowd", **RECORD}))
    run(
        [
            *(sys.executable, "-m", "bench.serving.crowd", f"{lab.edge}/predict", str(body)),
            *(f"--clients={EAGER_CLIENTS}", f"--seconds={SECONDS}"),
            *(f"--key-file={lab.files / 'api-key'}", f"--authority={lab.files / 'authority.pem'}"),
        ],
        ROOT,
        {},
    )


EVENTS = (
    Event("nothing", quiet),
    Event("another model is promoted (promote.yml)", promote),
    Event("the model is rolled back (rollback.yml)", roll_back),
    Event("a release is deployed (deploy.yml)", release),
    Event("a model answers 25 % first (canary.yml)", canary),
    Event("a model scores the same, unseen (shadow.yml)", shadow),
    Event("a key is made and revoked (keys.yml)", keys),
    Event("the certificate is renewed", renew, short=True),
    Event("its key is made new (rotate_secrets.yml)", rotate, short=True),
    Event("Debian's updates (upgrade.yml)", upgrade),
    Event("nginx gets another option (site.yml)", reconfigure_edge, unnoticed=False),
    Event("Prometheus gets another option (site.yml)", reconfigure_monitoring),
    Event("maintenance (maintenance.yml)", maintain, unnoticed=False),
    Event("the engine restarts", restart_engine, short=True),
    Event(
        "kill -9: a worker", kill(f"pgrep --parent $({MASTER}) | tail -n 1"), fault=True, short=True
    ),
    Event("kill -9: the model server", kill(MASTER), unnoticed=False, fault=True, short=True),
    Event(
        "kill -9: a worker of nginx",
        kill("pgrep --parent $(cat /run/nginx.pid) | head -n 1"),
        unnoticed=False,
        fault=True,
    ),
    Event("kill -9: nginx", kill("cat /run/nginx.pid"), unnoticed=False, fault=True, short=True),
    Event("kill -9: Docker", kill("cat /run/docker.pid"), fault=True, short=True),
    Event("kill -9: Prometheus", kill(UNIT.format("prometheus")), fault=True),
    Event("kill -9: Alertmanager", kill(UNIT.format("prometheus-alertmanager")), fault=True),
    Event("DNS is gone for 15 s", lose_names, fault=True),
    Event(f"{SLOW_CLIENTS:,} clients send half a request", slow_clients, fault=True, short=True),
    Event(f"{EAGER_CLIENTS} more clients ask without a pause", crowd, unnoticed=False, fault=True),
    Event("the host reboots", reboot, unnoticed=False, fault=True),
)


def _other_bundle(lab: Lab) -> Path:
    run(["molecule/model_server/bundles"], ROOT, {})
    served = lab.model_version()
    bundles = sorted(BUNDLES.iterdir())
    return next(one for one in bundles if Bundle.open(one).manifest.version != served)


def _extra(**options: object) -> str:
    return f"--extra-vars={json.dumps(options)}"


def _done(lab: Lab, command: str) -> str:
    done = lab.on_host("sh", "-c", command)
    if done.returncode:
        raise LabError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def logged(lab: Lab, since: float) -> set[str]:
    """Return the ids of the predictions in the lab's log of the days since a Unix time."""
    day = datetime.fromtimestamp(since, UTC).strftime("dt=%Y-%m-%d")
    read = (
        "cd /var/lib/shill/predictions && for d in dt=*; do"
        f' [ "$d" \\< "{day}" ] || cat $d/*.jsonl; done'
        """ | grep --only-matching '"prediction_id":"[^"]*"'"""
    )
    return {line.split('"')[3] for line in _done(lab, read).splitlines()}
