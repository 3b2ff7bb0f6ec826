"""Closed segments get to S3 once, whatever becomes of the way; the host tells how it went."""

import io
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow.parquet as pq
import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

from tests.s3 import DistantS3

Configured = Callable[..., None]
Deliver = Callable[[Path, str], None]
Job = Callable[[], CommandResult]
Line = Callable[[], str]
Metrics = Callable[[], dict[str, float]]
Predict = Callable[[int], dict[str, list[str]]]
Role = Callable[..., CompletedProcess[str]]

SUCCESS = "shill_archive_last_success_timestamp_seconds"
FILES = [
    "/etc/cron.d/shill-archive",
    "/etc/logrotate.d/shill-archive",
    "/usr/local/sbin/shill-archive",
    "/var/lib/node_exporter/textfile/shill_archive.prom",
]


def archived(s3: DistantS3) -> dict[str, list[str]]:
    """Ids of the predictions in S3, by key."""
    return {
        key: pq.read_table(io.BytesIO(s3.read(key)))["prediction_id"].to_pylist()
        for key in s3.objects()
        if key.startswith("predictions/")
    }


def test_a_provisioned_host_has_run_the_job(host: Host, line: Line, metrics: Metrics) -> None:
    assert " status=0 " in line()
    assert metrics()[SUCCESS] > 0
    assert all(host.file(path).exists for path in FILES)


def test_segments_arrive_as_parquet_a_few_a_run_each_once(
    s3: DistantS3, predict: Predict, job: Job, line: Line, metrics: Metrics
) -> None:
    logged = predict(3)

    done = job()
    assert done.rc == 0, done.stdout + done.stderr
    assert " status=4 " in line()
    assert metrics()["shill_archive_pending_segments"] == 1

    done = job()
    assert done.rc == 0, done.stdout + done.stderr
    assert " status=0 " in line()
    assert metrics()["shill_archive_pending_segments"] == 0
    assert archived(s3) == logged

    before = s3.objects()
    assert job().rc == 0
    assert "0 segments and 0 reports shipped" in line()
    assert s3.objects() == before


def test_reports_arrive_under_the_name_that_the_inventory_has(
    s3: DistantS3, deliver: Deliver, job: Job
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "2026-11-24T0630"
        report.mkdir()
        (report / "summary.json").write_text("{}")
        deliver(Path(directory), "reports")
    assert job().rc == 0
    assert s3.read("reports/bookworm/2026-11-24T0630/summary.json") == b"{}"


def test_the_container_has_the_host_s_network_and_no_rights(
    container: Callable[[], dict[str, Any]],
) -> None:
    described = container()
    limits = described["HostConfig"]
    assert described["Config"]["User"] == "10001:10001"
    assert limits["NetworkMode"] == "host"
    assert limits["ReadonlyRootfs"]
    assert limits["CapDrop"] == ["ALL"]
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert {mount["Destination"]: mount["RW"] for mount in described["Mounts"]} == {
        "/predictions": True,
        "/reports": False,
        "/textfile": True,
    }


def test_it_keeps_here_what_the_drift_job_reads(container: Callable[[], dict[str, Any]]) -> None:
    environment = dict(item.split("=", 1) for item in container()["Config"]["Env"])
    assert environment["SHILL_DRIFT_LABEL_HOURS"] == "300"
    assert "SHILL_DRIFT_WINDOW_ROWS" not in environment


@pytest.mark.parametrize("cut", ["refuse", "silence"])
def test_without_s3_nothing_is_lost_and_with_it_again_nothing_is_doubled(
    cut: str, host: Host, s3: DistantS3, predict: Predict, job: Job, line: Line, metrics: Metrics
) -> None:
    before, success = archived(s3), metrics()[SUCCESS]
    logged = predict(1)
    getattr(s3.wire, cut)()

    assert job().rc == 1
    assert " status=1 " in line()
    assert "check the network" in line()
    told = metrics()
    assert (told["shill_archive_failures"], told["shill_archive_pending_segments"]) == (1, 1)
    assert told[SUCCESS] == success < told["shill_archive_last_run_timestamp_seconds"]
    assert archived(s3) == before

    s3.wire.mend()
    assert job().rc == 0
    assert " status=0 " in line()
    assert archived(s3) == before | logged
    assert metrics()["shill_archive_failures"] == 0
    assert metrics()[SUCCESS] > success
    here = host.check_output("find /var/lib/shill/predictions -name '*.jsonl' | wc --lines")
    assert int(here) == len(archived(s3)), "they are young"


@pytest.mark.parametrize("target", ["shill", "s3://", "/var/backups"])
def test_what_is_no_bucket_is_refused(host: Host, role: Role, target: str) -> None:
    before = host.file(FILES[-2]).content
    done = role(prediction_archive_target=target)
    assert done.returncode != 0
    assert f'prediction_archive_target is "{target}"' in " ".join(done.stdout.split())
    assert host.file(FILES[-2]).content == before


# Last: after it, there is no job.
def test_without_a_target_the_job_goes_and_the_log_stays(
    host: Host, role: Role, configured: Configured
) -> None:
    configured(prediction_archive_target="")
    assert [path for path in FILES if host.file(path).exists] == []
    assert host.check_output("find /var/lib/shill/predictions -name '*.jsonl'")
    again = role(prediction_archive_target="").stdout
    assert re.search(r"^bookworm .* changed=0 ", again, re.MULTILINE)
