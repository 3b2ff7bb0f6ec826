"""What a host is able to do once the roles have been there."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

Api = Callable[[str], Any]
Eventually = Callable[[Callable[[], bool]], None]

# As the drift job does: a hidden file, renamed.
WRITE = """
import os, sys
os.setgid(10001); os.setuid(10001)
directory, text = "/var/lib/node_exporter/textfile", sys.argv[1]
with open(directory + "/.test.prom", "w") as file:
    file.write(text)
os.chmod(directory + "/.test.prom", 0o644)
os.rename(directory + "/.test.prom", directory + "/test.prom")
"""
PROGRAMS = re.compile(r'users:\(\("(prometheus|alertmanager|node_exporter|dockerd|prometheus-\w+)')


def jobs(api: Api) -> dict[str, str]:
    return {t["labels"]["job"]: t["health"] for t in api("targets?state=active")["activeTargets"]}


@pytest.mark.usefixtures("model_server")
def test_every_target_is_up_under_its_host_s_name(
    host: Host, api: Api, eventually: Eventually
) -> None:
    expected = {"model_server", "node", "prometheus", "alertmanager"}
    expected |= {"docker"} if host.exists("dockerd") else set()

    eventually(lambda: jobs(api) == dict.fromkeys(expected, "up"))

    targets = api("targets?state=active")["activeTargets"]
    assert {t["labels"]["instance"] for t in targets} == {host.check_output("hostname")}


def test_it_starts_at_boot(host: Host) -> None:
    if host.exists("promtool"):
        for name in ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter"):
            assert host.service(name).is_enabled
    else:
        policy = "docker inspect --format '{{.HostConfig.RestartPolicy.Name}}' %s"
        for name in ("prometheus", "alertmanager", "node-exporter"):
            assert host.check_output(policy, name) == "unless-stopped"


def test_every_rule_is_evaluated_without_error(api: Api, eventually: Eventually) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in api("rules")["groups"] for rule in group["rules"]]

    eventually(lambda: {rule["health"] for rule in rules()} == {"ok"})
    assert {rule["name"] for rule in rules()} >= {"Watchdog", "DataDrift", "ModelServerDown"}


def test_the_drift_job_s_user_hands_metrics_to_prometheus(
    host: Host, api: Api, eventually: Eventually
) -> None:
    host.check_output("python3 -c %s %s", WRITE, "shill_drift_alarm_streak 2\n")

    def firing() -> set[str]:
        found = api("query?query=ALERTS%7Balertname=%22DataDrift%22,alertstate=%22firing%22%7D")
        return {series["metric"]["instance"] for series in found["result"]}

    eventually(lambda: firing() == {host.check_output("hostname")})
    host.check_output("rm /var/lib/node_exporter/textfile/test.prom")
    eventually(lambda: firing() == set())


def test_a_corrupt_textfile_is_noticed(host: Host, api: Api, eventually: Eventually) -> None:
    host.check_output("python3 -c %s %s", WRITE, "shill_drift_alarm_streak two\n")
    eventually(
        lambda: (
            [s["value"][1] for s in api("query?query=node_textfile_scrape_error")["result"]]
            == ["1"]
        )
    )
    host.check_output("rm /var/lib/node_exporter/textfile/test.prom")


def test_node_exporter_sees_the_host_s_disks(api: Api, eventually: Eventually) -> None:
    query = "query?query=instance_device:node_filesystem_avail:ratio"
    eventually(lambda: len(api(query)["result"]) > 0)


def test_nothing_listens_beyond_the_host(host: Host) -> None:
    lines = host.check_output("ss --no-header --listening --tcp --numeric --processes").splitlines()
    ours = [line for line in lines if PROGRAMS.search(line)]
    assert len(ours) >= 3
    open_to_others = [
        line for line in ours if not re.search(r"\s(127\.0\.0\.1|\[::1\]):\d+\s", line)
    ]
    # converge.yml has the package's node exporter listen at the host's own address.
    own = (
        {f"{host.check_output('hostname --ip-address')}:9100"} if host.exists("promtool") else set()
    )
    assert {line.split()[3] for line in open_to_others} == own


def test_secrets_are_in_nobody_else_s_reach(host: Host) -> None:
    secret = host.file("/etc/prometheus/secrets/webhook_token")
    assert (secret.mode, secret.user, secret.content_string) == (
        0o600,
        "prometheus",
        "battery-staple",
    )
    assert host.file("/etc/prometheus/secrets").mode == 0o700
    # The pattern does not find itself.
    found = host.run(
        "grep --recursive --files-with-matches 'battery[-]staple' /etc /proc/[0-9]*/cmdline "
        "/proc/[0-9]*/environ --exclude-dir=secrets 2>/dev/null"
    )
    assert found.stdout == ""


def test_a_cause_silences_its_consequences_on_its_own_instance_only(
    host: Host, program: Callable[[str], str], eventually: Eventually
) -> None:
    fire = {
        ("ModelServerDown", "a", "page"): False,
        ("AvailabilityBudgetBurn", "a", "page"): True,
        ("LatencyBudgetBurn", "a", "ticket"): True,
        ("LatencyBudgetBurn", "b", "ticket"): False,
        ("DriftJobStale", "a", "ticket"): False,
        ("DataDrift", "b", "ticket"): False,
        ("FeatureDrift", "b", "ticket"): True,
        ("FeatureDrift", "a", "ticket"): False,
        ("DiskFilling", "b", "page"): False,
        ("DiskFilling", "b", "ticket"): True,
        ("DiskFilling", "a", "ticket"): False,
        ("DriftJobStale", "b", "ticket"): False,
        ("LabelledPerformanceDrop", "b", "page"): False,
        ("EstimatedPerformanceDrop", "b", "ticket"): False,
    }
    amtool = f"{program('amtool')} --alertmanager.url=http://127.0.0.1:9093 alert"
    for name, instance, severity in fire:
        host.check_output(f"{amtool} add {name} instance={instance} severity={severity}")

    def silenced() -> dict[tuple[str, ...], bool]:
        alerts = json.loads(host.check_output(f"{amtool} query --output=json --active --inhibited"))
        return {
            tuple(alert["labels"][label] for label in ("alertname", "instance", "severity")): bool(
                alert["status"]["inhibitedBy"]
            )
            for alert in alerts
            if alert["labels"].get("instance") in {"a", "b"}
        }

    eventually(lambda: silenced() == fire)
