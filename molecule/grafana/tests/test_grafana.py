"""A provisioned host shows the dashboards, to those who have the password alone."""

import json
import re
import time
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest
from testinfra.host import Host

PASSWORD = "correct-horse-41-battery"  # noqa: S105 - that of converge.yml
ANOTHER = "purple-monkey-17-dishwasher"

Ask = Callable[..., tuple[int, Any]]
Container = Callable[[], dict[str, Any]]
Converge = Callable[..., CompletedProcess[str]]


def said(done: CompletedProcess[str]) -> str:
    """What Ansible printed, without the line breaks that it adds."""
    return " ".join(done.stdout.split())


def changed(done: CompletedProcess[str]) -> int:
    """How many tasks changed the host under test."""
    (number,) = re.findall(r"^(?:trixie|bookworm) .* changed=(\d+) ", done.stdout, re.MULTILINE)
    return int(number)


def files(host: Host) -> str:
    """Every file of Grafana's, with mode, owner, time and content."""
    return host.check_output(
        "find /etc/grafana -printf '%p %m %u %T@\\n' | sort;"
        " find /etc/grafana -type f -print0 | sort --zero-terminated | xargs -0 sha256sum"
    )


def test_the_real_grafana_was_exercised(image: str, ask: Ask) -> None:
    if "stand-in" in image:
        pytest.skip(
            "Grafana's image could not be pulled: its container was run with a stand-in, which is"
            " not Grafana; give the engine access to a registry"
        )
    assert ask("/api/health")[1]["version"] == image.split(":")[1].split("@", maxsplit=1)[0]


def test_it_is_healthy(ask: Ask) -> None:
    status, health = ask("/api/health")
    assert (status, health["database"]) == (200, "ok")


def test_it_lets_in_who_has_the_password_and_nobody_else(ask: Ask) -> None:
    assert ask("/api/user", PASSWORD)[0] == 200
    assert ask("/api/user", "admin")[0] == 401
    assert ask("/api/user")[0] == 401


def test_it_cannot_be_reached_from_elsewhere(host: Host) -> None:
    listening = host.check_output("ss --listening --tcp --numeric --no-header 'sport = :3000'")
    assert [line.split()[3] for line in listening.splitlines()] == ["127.0.0.1:3000"]


@pytest.mark.parametrize("uid", ["shill-model", "shill-service", "shill-host"])
def test_it_has_the_dashboard(ask: Ask, uid: str) -> None:
    status, answer = ask(f"/api/dashboards/uid/{uid}", PASSWORD)
    assert status == 200
    assert answer["dashboard"]["uid"] == uid


def test_the_container_has_few_rights_and_firm_limits(container: Container) -> None:
    described = container()
    limits = described["HostConfig"]
    assert described["Config"]["User"] == "472:0"
    assert limits["ReadonlyRootfs"]
    assert not limits["Privileged"]
    assert limits["CapDrop"] == ["ALL"]
    assert not limits["CapAdd"]
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert limits["Memory"] == limits["MemorySwap"] == 512 * 2**20
    assert limits["PidsLimit"] == 256
    assert limits["RestartPolicy"]["Name"] == "unless-stopped"
    assert {m["Destination"]: m["RW"] for m in described["Mounts"]} == {
        "/etc/grafana": False,
        "/var/lib/grafana": True,
    }


def test_strangers_are_kept_out_and_nobody_is_called(host: Host) -> None:
    ini = host.file("/etc/grafana/grafana.ini").content_string
    sections = {
        name: dict(re.findall(r"^(\w+) = (.*)$", body, re.MULTILINE))
        for name, body in re.findall(r"^\[(.+)\]\n((?:.+\n)*)", ini, re.MULTILINE)
    }
    assert sections["auth.anonymous"]["enabled"] == "false"
    assert sections["users"]["allow_sign_up"] == "false"
    assert set(sections["analytics"].values()) == {"false"}


def test_the_password_is_in_its_file_and_nowhere_else(host: Host, container: Container) -> None:
    file = host.file("/etc/grafana/secrets/admin_password")
    assert (file.user, file.mode, file.content_string) == ("grafana", 0o400, PASSWORD)
    assert PASSWORD not in json.dumps(container())
    assert PASSWORD not in host.check_output("docker logs grafana 2>&1; ps -eww -o args")
    # Of processes: arguments and environments, that of Grafana included. The shell that asks apart.
    pattern = f"[{PASSWORD[0]}]{PASSWORD[1:]}"
    places = "/proc/[0-9]*/cmdline /proc/[0-9]*/environ"
    assert host.run(f"cat {places} 2>/dev/null | grep --text --count '{pattern}'").stdout == "0\n"
    places = "/etc /var/lib/grafana /var/log /root /home /tmp /var/tmp"
    found = host.run(f"grep --recursive --files-with-matches --devices=skip '{pattern}' {places}")
    assert found.stdout.split() == ["/etc/grafana/secrets/admin_password"]


def test_a_second_run_leaves_every_file_and_the_container_alone(
    host: Host, container: Container, converge: Converge
) -> None:
    before = files(host), container()["State"]["StartedAt"]

    done = converge("--tags=grafana", "--diff", "-vvv")

    assert done.returncode == 0, done.stdout
    assert changed(done) == 0
    assert (files(host), container()["State"]["StartedAt"]) == before
    assert PASSWORD not in done.stdout + done.stderr


def test_a_wrong_password_is_refused_before_anything_changes(
    host: Host, converge: Converge
) -> None:
    before = files(host)

    # The port would change, too, if this got as far.
    done = converge(grafana_admin_password="changeme-changeme", grafana_bind="127.0.0.1:3999")  # noqa: S106

    assert done.returncode != 0
    assert "grafana_admin_password is one that everybody guesses" in said(done)
    assert "changeme" not in done.stdout
    assert files(host) == before


def test_a_changed_dashboard_is_taken_up_without_a_restart(
    container: Container, ask: Ask, converge: Converge
) -> None:
    before = container()["State"]["StartedAt"]

    done = converge(
        grafana_reports_url="https://reports.example",
        grafana_runbooks_url="https://runbooks.example",
    )

    assert done.returncode == 0, done.stdout
    for _ in range(60):
        text = json.dumps(ask("/api/dashboards/uid/shill-model", PASSWORD)[1])
        if "https://reports.example/" in text:
            break
        time.sleep(1)
    assert "https://reports.example/" in text
    assert "[DataDrift](https://runbooks.example/DataDrift.md)" in text
    assert container()["State"]["StartedAt"] == before
    assert converge().returncode == 0


def test_a_changed_password_is_the_only_one_that_counts(ask: Ask, converge: Converge) -> None:
    done = converge("--tags=grafana", "--diff", "-vvv", grafana_admin_password=ANOTHER)

    assert done.returncode == 0, done.stdout
    assert ANOTHER not in done.stdout + done.stderr
    assert ask("/api/user", ANOTHER)[0] == 200
    assert ask("/api/user", PASSWORD)[0] == 401
    assert converge().returncode == 0
    assert ask("/api/user", PASSWORD)[0] == 200


def test_postgresql_can_keep_what_grafana_remembers(converge: Converge) -> None:
    done = converge(
        "--tags=grafana:configure",
        "--check",
        "--diff",
        grafana_database_type="postgres",
        grafana_database_host="db.example:5432",
        grafana_database_password=ANOTHER,
    )

    assert done.returncode == 0, done.stdout
    assert "+host = db.example:5432" in done.stdout
    assert "+password = $__file{/etc/grafana/secrets/database_password}" in done.stdout
    assert ANOTHER not in done.stdout + done.stderr


def test_a_database_without_its_password_is_refused(converge: Converge) -> None:
    done = converge(grafana_database_type="postgres", grafana_database_host="db.example")
    assert done.returncode != 0
    assert "grafana_database_password is not set" in said(done)


NOWHERE = {"grafana_image": "127.0.0.1:1/grafana:11.6.4", "grafana_image_archive": ""}


def test_an_image_that_cannot_be_had_ends_the_play_with_the_remedy(converge: Converge) -> None:
    done = converge(**NOWHERE)
    assert done.returncode != 0
    assert "The image 127.0.0.1:1/grafana:11.6.4 cannot be had" in said(done)
    assert "grafana_image_archive" in said(done)


def test_where_it_may_be_missing_that_is_said_and_the_play_goes_on(converge: Converge) -> None:
    done = converge(**NOWHERE, grafana_required=False)
    assert done.returncode == 0, done.stdout
    assert said(done).count("GRAFANA DOES NOT RUN on") == 1
    assert changed(done) == 0


@pytest.fixture
def derived(host: Host, image: str) -> Callable[..., str]:
    """Make another version of the stand-in on the host; returns the image's name."""
    if "stand-in" not in image:
        pytest.skip("upgrades are tried with the stand-in: there is one version of Grafana here")

    def make(tag: str, **environment: str) -> str:
        name = image.rpartition(":")[0] + f":{tag}"
        settings = "".join(f"ENV {key}={value!r}\\n" for key, value in environment.items())
        dockerfile = f"FROM {image}\\n{settings}"
        host.check_output(f"printf %%b %s | docker build --tag={name} -", dockerfile)
        return name

    return make


def schema(host: Host) -> int:
    number: int = json.loads(host.file("/var/lib/grafana/grafana.db").content_string)["schema"]
    return number


def test_back_from_an_upgrade_the_former_version_has_its_database(
    host: Host, derived: Callable[..., str], ask: Ask, converge: Converge
) -> None:
    upgraded = converge(grafana_image=derived("2", SCHEMA="2"))
    assert upgraded.returncode == 0, upgraded.stdout
    assert schema(host) == 2

    back = converge()

    assert back.returncode == 0, back.stdout
    assert schema(host) == 1
    assert ask("/api/user", PASSWORD)[0] == 200


def test_where_an_upgrade_fails_the_former_version_serves_on(
    host: Host, derived: Callable[..., str], ask: Ask, converge: Converge
) -> None:
    broken = derived("3", SCHEMA="3", FAULT="no such plugin")

    done = converge(grafana_image=broken, grafana_ready_seconds=5)

    assert done.returncode != 0
    assert "no such plugin" in said(done)
    assert "runs again, with its database as it was" in said(done)
    assert schema(host) == 1
    assert ask("/api/user", PASSWORD)[0] == 200
    assert changed(converge()) == 0
