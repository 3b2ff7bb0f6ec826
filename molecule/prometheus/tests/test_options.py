"""Options that name hosts and receivers, on one host: programs may come from anywhere here."""

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest
import testinfra
from testinfra.host import Host

Converge = Callable[..., CompletedProcess[str]]
Eventually = Callable[[Callable[[], bool]], None]
Metric = Callable[[str], str]
Targets = Callable[[str], set[str]]

HERE, OTHER = "trixie", "bookworm"
STARTED = "process_start_time_seconds"
RELOADED = "prometheus_config_last_reload_success_timestamp_seconds"


@pytest.fixture(scope="module")
def host() -> Host:
    return testinfra.get_host(f"docker://shill-prometheus-{HERE}")


def test_bad_options_are_named_and_change_nothing(
    host: Host, metric: Metric, converge: Converge
) -> None:
    before = host.file("/etc/prometheus/alertmanager.yml").content, metric(RELOADED)

    done = converge(prometheus_alertmanager_page=["sns"], prometheus_retention_time="long")

    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert 'prometheus_retention_time is "long": it must be a number and h, d, w or y' in said
    assert "sns needs the ARN of a topic" in said
    assert (host.file("/etc/prometheus/alertmanager.yml").content, metric(RELOADED)) == before


def test_a_host_comes_and_goes_without_a_reload(
    host: Host, targets: Targets, metric: Metric, converge: Converge, eventually: Eventually
) -> None:
    before = metric(STARTED), metric(RELOADED)

    # Every program as one that other hosts reach; the role changes nothing but the targets for it.
    added = converge(
        prometheus_model_servers=[HERE, OTHER],
        prometheus_scrape_address="192.0.2.7",
        model_server_bind="0.0.0.0:8000",
        node_exporter_bind="0.0.0.0:9100",
        docker_metrics_address="0.0.0.0:9323",
    )
    assert added.returncode == 0, added.stdout
    eventually(lambda: targets("model_server") == {HERE, OTHER})
    file = host.file("/etc/prometheus/targets/model_server.json").content_string
    assert "192.0.2.7:8000" in file, "the inventory says where it is, not Ansible's connection"

    removed = converge("--diff")
    assert removed.returncode == 0, removed.stdout
    eventually(lambda: targets("model_server") == {HERE})
    assert (metric(STARTED), metric(RELOADED)) == before
    assert "battery-staple" not in removed.stdout + removed.stderr


def test_another_host_s_loopback_is_no_target(converge: Converge) -> None:
    done = converge(prometheus_monitoring_hosts=[HERE, OTHER])

    assert done.returncode != 0
    assert f"node_exporter_bind of {OTHER} is 127.0.0.1:9100" in " ".join(done.stdout.split())


def test_a_host_without_an_address_to_scrape_is_named(converge: Converge) -> None:
    done = converge(prometheus_model_servers=[HERE, OTHER], model_server_bind="0.0.0.0:8000")

    assert done.returncode != 0
    assert f"set prometheus_scrape_address of {OTHER}" in " ".join(done.stdout.split())


def test_who_may_use_a_webhook_is_neither_shown_nor_readable(
    host: Host, converge: Converge
) -> None:
    """Both files may hold credentials: URLs of receivers, and of further scrape configurations."""
    secret = {
        "job_name": "secret",
        "basic_auth": {"username": "u", "password": "horse-battery"},
        "static_configs": [{"targets": ["127.0.0.1:1"]}],
    }
    done = converge(
        "--diff",
        prometheus_alertmanager_webhook_url="http://127.0.0.1:9999/horse-battery",
        prometheus_extra_scrape_configs=[secret],
        prometheus_secrets={"remote": "horse-battery"},
    )

    assert done.returncode == 0, done.stdout
    assert "horse-battery" not in done.stdout + done.stderr
    remote = host.file("/etc/prometheus/secrets/remote")
    assert (remote.user, remote.mode, remote.content_string) == (
        "prometheus",
        0o600,
        "horse-battery",
    )
    for name in ("prometheus", "alertmanager"):
        file = host.file(f"/etc/prometheus/{name}.yml")
        assert "horse-battery" in file.content_string
        assert (file.user, file.group, file.mode) == ("root", "prometheus", 0o640)
    assert converge().returncode == 0
    assert not remote.exists
