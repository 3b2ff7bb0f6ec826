"""How runs end, what they say, and what node exporter is told."""

import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flask_app import files
from flask_app.archive.job import TEXTFILE
from flask_app.archive.ship import Shipper
from flask_app.cli import main
from tests.s3 import BUCKET, S3
from tests.unit.archive.conftest import Host

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def host(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose settings name a bucket."""
    assert s3.objects() == {}
    for name, value in {
        "LOG_DIR": tmp_path / "predictions",
        "DRIFT_REPORTS_DIR": tmp_path / "reports",
        "DRIFT_TEXTFILE_DIR": tmp_path / "textfile",
        "ARCHIVE": f"s3://{BUCKET}",
        "ARCHIVE_HOST": "one",
    }.items():
        monkeypatch.setenv(f"SHILL_{name}", str(value))
    return Host(tmp_path)


def metrics(host: Host) -> dict[str, float]:
    text = (host.log_dir.parent / "textfile" / TEXTFILE).read_text()
    return {
        sample.name.removeprefix("shill_archive_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_run_that_shipped_everything_ends_with_0(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.segment()
    host.report("2026-11-24T0630")
    began = time.time()

    assert main(["ship"]) == 0

    assert capsys.readouterr().out == (
        "1 segments and 1 reports shipped, 0 segments deleted here, 0 pending, 0 torn lines\n"
    )
    told = metrics(host)
    assert began <= told["last_success_timestamp_seconds"] <= time.time()
    assert told["last_run_timestamp_seconds"] == told["last_success_timestamp_seconds"]
    assert (told["shipped_segments"], told["pending_segments"], told["failures"]) == (1, 0, 0)


def test_a_run_that_reached_its_limit_ends_with_4(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHILL_ARCHIVE_RUN_SEGMENTS", "1")
    host.segment()
    host.segment()

    assert main(["ship"]) == 4
    assert (metrics(host)["shipped_segments"], metrics(host)["pending_segments"]) == (1, 1)
    assert main(["ship"]) == 0


def test_a_run_without_s3_ends_with_1_and_leaves_the_last_success(
    host: Host, s3: S3, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ship"]) == 0
    success = metrics(host)["last_success_timestamp_seconds"]
    host.segment()
    s3.cut = True

    assert main(["ship"]) == 1

    done, why = capsys.readouterr().err.splitlines()
    assert "1 pending" in done
    assert "check the network" in why
    told = metrics(host)
    assert told["last_success_timestamp_seconds"] == success < told["last_run_timestamp_seconds"]
    assert (told["shipped_segments"], told["pending_segments"], told["failures"]) == (0, 1, 1)


def test_a_first_run_without_s3_claims_no_success(host: Host, s3: S3) -> None:
    host.segment()
    s3.cut = True

    assert main(["ship"]) == 1
    assert "last_success_timestamp_seconds" not in metrics(host)


def test_a_run_that_could_not_ship_a_segment_ends_with_3(
    host: Host, s3: S3, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = host.segment()
    s3.write(f"predictions/{segment.parent.name}/{segment.stem}.parquet", b"another")

    assert main(["ship"]) == 3
    assert str(segment) in capsys.readouterr().err
    assert (metrics(host)["pending_segments"], metrics(host)["failures"]) == (1, 1)


def test_a_second_run_at_the_same_time_ends_with_5_and_changes_nothing(
    host: Host, s3: S3, capsys: pytest.CaptureFixture[str]
) -> None:
    host.segment()
    with files.locked(host.log_dir):
        assert main(["ship"]) == 5
    assert "another run holds" in capsys.readouterr().err
    assert s3.objects() == {}


def test_a_fault_ends_with_70_and_is_counted(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_shipper: Shipper) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Shipper, "run", fail)

    assert main(["ship"]) == 70
    assert "RuntimeError: a fault" in capsys.readouterr().err
    assert metrics(host)["failures"] == 1


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("SHILL_ARCHIVE", "", "SHILL_ARCHIVE is empty: set it to s3://BUCKET"),
        ("SHILL_ARCHIVE", "bucket", "'bucket' names no bucket: write s3://BUCKET"),
        (
            "SHILL_ARCHIVE_KEEP_HOURS",
            "100",
            "SHILL_ARCHIVE_KEEP_HOURS=100 is below the drift job's windows: set it to 168 or more",
        ),
    ],
)
@pytest.mark.usefixtures("host")
def test_settings_that_cannot_work_are_refused(
    variable: str,
    value: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)

    assert main(["ship"]) == 1
    assert f"error: {message}" in capsys.readouterr().err


def test_every_metric_of_the_shipper_is_documented(host: Host) -> None:
    main(["ship"])
    page = (DOCS / "metrics.md").read_text()
    assert [name for name in metrics(host) if f"`shill_archive_{name}`" not in page] == []


def test_a_query_prints_a_table_or_csv(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHILL_ARCHIVE", "")
    host.segment(3)
    sql = "SELECT count(*) AS rows, any_value(bidder_id) AS bidder FROM predictions"

    assert main(["query", sql]) == 0
    assert capsys.readouterr().out.split() == ["rows", "bidder", "3"]

    assert main(["query", sql, "--csv"]) == 0
    assert capsys.readouterr().out == "rows,bidder\n3,\n"


def test_a_query_that_is_wrong_is_told(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHILL_ARCHIVE", "")
    host.segment(1)

    assert main(["query", "SELECT nothing FROM predictions"]) == 1
    assert '"nothing" not found' in capsys.readouterr().err
