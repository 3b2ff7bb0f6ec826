"""The job runs by cron, alone, within bounds, and whatever becomes of it is told."""

import re
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

Job = Callable[[], CommandResult]
Line = Callable[[], str]
Metrics = Callable[[], dict[str, float]]
Role = Callable[..., CompletedProcess[str]]

TEXTFILES = "/var/lib/node_exporter/textfile"
CONTAINERS = "docker ps --all --quiet --filter name=shill-drift"


# First: the tests below bring traffic.
def test_without_traffic_a_run_succeeds_and_scores_nothing(
    job: Job, line: Line, metrics: Metrics
) -> None:
    assert job().rc == 0
    assert " status=4 " in line()
    assert metrics()["shill_drift_window_rows"] == 0
    assert "shill_data_drift_score" not in metrics()


@pytest.mark.usefixtures("traffic")
def test_cron_s_command_scores_what_was_predicted(job: Job, line: Line, metrics: Metrics) -> None:
    done = job()
    assert done.rc == 0, done.stdout + done.stderr
    assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ status=0 seconds=\d+ \S", line())
    assert metrics()["shill_drift_last_exit_code"] == 0
    assert metrics()["shill_drift_window_rows"] == 400
    assert metrics()["shill_data_drift_score"] == pytest.approx(0, abs=1e-6)


def test_node_exporter_may_read_the_metrics_and_write_none(host: Host) -> None:
    for name in ("shill_drift.prom", "shill_drift_run.prom"):
        file = host.file(f"{TEXTFILES}/{name}")
        assert (file.user, file.mode) == ("shill", 0o644)
    assert host.file(TEXTFILES).mode == 0o755


def test_a_run_adds_one_line_to_its_log_and_leaves_no_container(host: Host, job: Job) -> None:
    lines = "wc --lines </var/log/shill/drift.log"
    before = int(host.check_output(lines))
    job()
    assert int(host.check_output(lines)) == before + 1
    assert host.check_output(CONTAINERS) == ""


def test_the_container_has_neither_network_nor_rights(
    container: Callable[[], dict[str, Any]],
) -> None:
    described = container()
    limits = described["HostConfig"]
    assert described["Config"]["User"] == "10001:10001"
    assert limits["NetworkMode"] == "none"
    assert limits["ReadonlyRootfs"]
    assert not limits["Privileged"]
    assert limits["CapDrop"] == ["ALL"]
    assert not limits["CapAdd"]
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert limits["Memory"] == limits["MemorySwap"] == 768 * 2**20
    assert limits["PidsLimit"] == 64
    assert limits["NanoCpus"] > 0
    assert {mount["Destination"]: mount["RW"] for mount in described["Mounts"]} == {
        "/models": False,
        "/predictions": False,
        "/reports": True,
        "/textfile": True,
    }


def test_a_first_run_that_fails_stops_nothing_and_is_told_at_the_end(
    host: Host, converge: Role
) -> None:
    models, result = "/var/lib/shill/models", f"{TEXTFILES}/shill_drift_run.prom"
    host.check_output(f"mv {models} {models}.away && rm {result}")

    done = converge("--tags=evidently_cron")

    host.check_output(f"rmdir {models} && mv {models}.away {models}")
    said = done.stdout[done.stdout.index("Check that the first run of each job succeeded") :]
    assert "drift, status 1" in said
    assert "no version is in production" in said
    assert "run shill-drift there as root" in " ".join(said.split())
    assert done.stdout.count("fatal: ") == 1, "nothing before it failed"
    assert converge("--tags=evidently_cron").returncode == 0


def test_of_two_runs_at_once_one_is_refused(host: Host) -> None:
    both = "shill-drift & first=$!; shill-drift; second=$?; wait $first; echo $? $second"
    assert sorted(host.check_output("sh -c %s", both).splitlines()[-1].split()) == ["0", "5"]
    assert "status=5 another run is under way" in host.check_output(
        "tail -n 2 /var/log/shill/drift.log"
    )
    assert host.check_output(CONTAINERS) == ""


def test_a_run_whose_script_was_killed_does_not_stand_in_the_way(
    host: Host, job: Job, line: Line
) -> None:
    host.check_output(
        "sh -c 'shill-drift >/dev/null & until docker inspect shill-drift >/dev/null 2>&1;"
        " do sleep 0.1; done; kill -9 $!'"
    )
    assert job().rc == 0
    assert " status=0 " in line()
    assert host.check_output(CONTAINERS) == ""


def test_the_log_rotates_and_is_written_on(host: Host, job: Job) -> None:
    host.check_output("logrotate --force /etc/logrotate.d/shill-drift")
    log = host.file("/var/log/shill/drift.log")
    assert log.content == b""
    assert host.file("/var/log/shill/drift.log.1").size > 0
    job()
    assert len(log.content_string.splitlines()) == 1
    assert log.mode == 0o640


def test_a_setting_that_does_not_exist_is_refused_before_anything_changes(
    host: Host, role: Role
) -> None:
    script = host.file("/usr/local/sbin/shill-drift").content
    done = role(evidently_cron_settings={"drift_window_row": 5}, evidently_cron_memory="64m")
    assert done.returncode != 0
    assert "did you mean SHILL_DRIFT_WINDOW_ROWS" in " ".join(done.stdout.split())
    assert host.file("/usr/local/sbin/shill-drift").content == script


@pytest.mark.parametrize("schedule", ["60 * * * *", "@hourly"])
def test_a_schedule_that_cron_would_not_read_is_refused(role: Role, schedule: str) -> None:
    done = role(evidently_cron_schedule=schedule)
    assert done.returncode != 0
    assert f'evidently_cron_schedule is "{schedule}"' in " ".join(done.stdout.split())


# From here on, each test has the job configured as it needs it.
def test_a_setting_reaches_the_job(
    job: Job, metrics: Metrics, configured: Callable[..., None]
) -> None:
    configured(evidently_cron_settings={"drift_window_rows": 300})
    assert job().rc == 0
    assert metrics()["shill_drift_window_rows"] == 300


def test_a_run_over_its_time_is_killed_and_changes_no_result(
    host: Host, job: Job, line: Line, configured: Callable[..., None]
) -> None:
    result = host.file(f"{TEXTFILES}/shill_drift.prom").content
    configured(evidently_cron_timeout_seconds=5, evidently_cron_cpus=0.05)
    assert job().rc == 124
    assert "status=124" in line()
    assert "longer than 5 s" in line()
    assert host.check_output(CONTAINERS) == ""
    assert host.file(f"{TEXTFILES}/shill_drift.prom").content == result


def test_a_run_beyond_its_memory_is_killed_and_says_so(
    host: Host, job: Job, line: Line, configured: Callable[..., None]
) -> None:
    configured(evidently_cron_memory="48m")
    assert job().rc == 137
    assert "status=137" in line()
    assert "needs more than 48m of memory" in line()
    assert host.check_output(CONTAINERS) == ""


# Last: it waits for a minute to begin.
def test_cron_itself_runs_it(
    host: Host,
    configured: Callable[..., None],
    eventually: Callable[[Callable[[], bool]], bool],
) -> None:
    lines = "wc --lines </var/log/shill/drift.log"
    before = int(host.check_output(lines))
    configured(evidently_cron_schedule="* * * * *")
    assert eventually(lambda: int(host.check_output(lines)) > before)
