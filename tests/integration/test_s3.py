"""S3 is cut while serving, starting and shipping: nothing acknowledged is lost, nothing doubled."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flask_app.log.segment import is_open
from flask_app.model.bundle import Bundle
from flask_app.store.s3_store import S3Store
from tests.integration.conftest import Bundles, Figure
from tests.integration.server import RECORD, Server, load, running, wait_until
from tests.s3 import BUCKET, s3_elsewhere
from tests.wire import Wire

URL = f"s3://{BUCKET}"
ROUNDS = int(os.environ.get("SHIP_ROUNDS", "8"))
OUTAGES = ("refuse", "silence")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The way to S3, which this process takes and those that it starts."""
    with s3_elsewhere() as s3:
        for name, value in {
            **s3.environment,
            "AWS_DEFAULT_REGION": s3.environment["AWS_REGION"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        yield s3.wire
        s3.wire.refuse()


@pytest.fixture
def store(wire: Wire, tmp_path: Path, bundles: Bundles) -> S3Store:
    """The operator's store, of two versions, the first in production."""
    assert wire.url
    store = S3Store(f"{URL}/models", tmp_path / "operator", Bundle)
    versions = [store.publish(bundle) for bundle in bundles]
    store.promote(versions[0])
    return store


def settings(tmp_path: Path) -> dict[str, Any]:
    return {
        "model_store": f"{URL}/models",
        "model_cache": tmp_path / "cache",
        "s3_reload_seconds": 1,
    }


def use(server: Server, version: str) -> None:
    """Wait until every worker has loaded `version`."""
    wait_until(lambda: {server.get("/model").json.get("version") for _ in range(8)} == {version})


def everywhere(server: Server, name: str) -> set[float]:
    """Return what the workers say of a metric that is each one's own."""
    return {server.metric(name) for _ in range(12)}


@pytest.mark.parametrize("outage", OUTAGES)
def test_s3_cut_while_serving_is_noticed_by_nobody_but_the_gauge(
    outage: str,
    store: S3Store,
    wire: Wire,
    tmp_path: Path,
    bundles: Bundles,
    record_property: Figure,
) -> None:
    first, second = (bundle.name for bundle in bundles)
    unreachable = "shill_model_store_unreachable"
    with (
        running(tmp_path / "server", **settings(tmp_path)) as server,
        load(server, threads=2) as traffic,
    ):
        use(server, first)
        store.promote(second)
        use(server, second)
        assert everywhere(server, unreachable) == {0}
        before = len(traffic.acknowledged)

        getattr(wire, outage)()
        wait_until(lambda: everywhere(server, unreachable) == {1})
        assert {server.get("/ready").status for _ in range(8)} == {200}
        during = len(traffic.acknowledged)
        assert during > before

        wire.mend()
        store.promote(first)
        use(server, first)
        wait_until(lambda: everywhere(server, unreachable) == {0})
    assert (traffic.refused, traffic.lost) == ([], 0)
    logged = [line.prediction_id for line in server.logged()[0]]
    assert sorted(logged) == sorted(traffic.acknowledged)
    record_property(
        f"S3 cut while serving ({outage})",
        f"{len(logged)} predictions, {during - before} of them until every worker had noticed; "
        "0 refused, 0 lost",
    )


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_restart_without_s3_serves_the_last_verified_model(
    outage: str,
    store: S3Store,
    wire: Wire,
    tmp_path: Path,
    bundles: Bundles,
    record_property: Figure,
) -> None:
    first, second = (bundle.name for bundle in bundles)
    with running(tmp_path / "server", **settings(tmp_path)) as server:
        use(server, first)
        getattr(wire, outage)()
        assert server.stop() == 0

        began = time.monotonic()
        server.start()
        wait_until(server.is_ready)
        seconds = time.monotonic() - began
        use(server, first)
        assert server.post("/predict", RECORD).status == 200
        assert everywhere(server, "shill_model_store_unreachable") == {1}
        warnings = [entry for entry in server.entries() if entry["level"] == "warning"]
        assert len([entry for entry in warnings if "is taken from" in entry["message"]]) == 2

        wire.mend()
        store.promote(second)
        use(server, second)
    record_property(f"start with S3 cut ({outage})", f"ready after {seconds:.1f} s")


def test_a_first_start_without_s3_waits_for_it_without_hanging(
    store: S3Store, wire: Wire, tmp_path: Path, bundles: Bundles
) -> None:
    wire.refuse()
    with running(tmp_path / "server", **settings(tmp_path)) as server:
        assert server.get("/health").status == 200
        answer = server.get("/ready")
        assert answer.status == 503
        assert "cannot be read" in answer.json["detail"]
        assert server.metric("shill_model_load_failures_total", reason="store") > 0

        wire.mend()
        use(server, bundles[0].name)
        assert store.production() is not None


def ship(server: Server, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flask_app", "ship"],
        env=server.environment
        | {
            "SHILL_ARCHIVE": URL,
            "SHILL_DRIFT_TEXTFILE_DIR": str(directory),
            "SHILL_DRIFT_REPORTS_DIR": str(directory / "reports"),
            "SHILL_ARCHIVE_RUN_SEGMENTS": "20",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(shipper: subprocess.Popen[str]) -> tuple[int, str]:
    """Return how a run ended and what it said."""
    output, _ = shipper.communicate(timeout=240)
    return shipper.returncode, output


def told(directory: Path) -> dict[str, float]:
    """Return what node exporter is told."""
    text = (directory / "shill_archive.prom").read_text()
    return {
        sample.name.removeprefix("shill_archive_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def age_closed_segments(server: Server) -> None:
    """Let every closed segment be ten days old, so that it is deleted once it is shipped."""
    then = time.time() - 10 * 86_400
    for path in server.log_dir.glob("dt=*/*.jsonl"):
        if not is_open(path):
            os.utime(path, (then, then))


def queried(server: Server) -> list[str]:
    """Return every prediction that `query` finds, here and in S3."""
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "flask_app", "query", "--csv"),
            "SELECT prediction_id FROM predictions",
        ],
        env=server.environment | {"SHILL_ARCHIVE": URL},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.splitlines()[1:]


def test_s3_cut_while_shipping_loses_and_doubles_nothing(
    wire: Wire, tmp_path: Path, bundles: Bundles, record_property: Figure
) -> None:
    """Segments close every second; the wire is cut and shippers are killed at random."""
    chance = random.Random(5)  # noqa: S311
    statuses: Counter[int] = Counter()
    with running(tmp_path / "server", bundles[:1], log_segment_seconds=1) as server:
        with load(server, threads=1) as traffic:
            for event in ["refuse", "silence", "kill", "nothing"] * (ROUNDS // 4):
                age_closed_segments(server)
                shipper = ship(server, tmp_path)
                time.sleep(chance.uniform(0.5, 4))
                if event == "kill":
                    shipper.send_signal(signal.SIGKILL)
                elif event != "nothing":
                    getattr(wire, event)()
                status, output = finish(shipper)
                wire.mend()
                statuses[status] += 1
                assert status in {0, 1, 4, -signal.SIGKILL}, output
                if status == 1:
                    assert told(tmp_path)["failures"] == 1
        here_at_the_end = len(server.logged()[0])
        assert server.stop() == 0
        found_with_both = queried(server)

        wire.refuse()
        age_closed_segments(server)
        status, output = finish(ship(server, tmp_path))
        assert "check the network" in output
        assert (status, told(tmp_path)["failures"]) == (1, 1)
        pending = told(tmp_path)["pending_segments"]
        assert pending > 0
        wire.mend()
        while (last := finish(ship(server, tmp_path)))[0] == 4:
            pass
        assert last[0] == 0, last[1]
        assert (told(tmp_path)["failures"], told(tmp_path)["pending_segments"]) == (0, 0)
        assert list(server.log_dir.glob("dt=*/*.jsonl")) == []
        found_in_s3 = queried(server)

    assert traffic.refused == []
    assert sorted(found_with_both) == sorted(found_in_s3)
    assert len(set(found_in_s3)) == len(found_in_s3)
    assert set(found_in_s3) == set(traffic.acknowledged)
    record_property(
        "S3 cut and shippers killed while shipping",
        f"{len(traffic.acknowledged)} predictions acknowledged, {len(found_in_s3)} in S3, none "
        f"twice; runs by exit status {dict(sorted(statuses.items()))}; {here_at_the_end} were here "
        f"when the load ended; pending while S3 was cut: {pending:.0f} segments",
    )
