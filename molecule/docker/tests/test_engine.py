"""What a host is able to do once the role has been there."""

from testinfra.host import Host


def container_pid(host: Host, name: str) -> str:
    return host.check_output("docker inspect --format '{{.State.Pid}}' %s", name)


def test_it_runs_containers(host: Host, image: str) -> None:
    assert host.check_output("docker run --rm %s /bin/sh -c 'echo it runs'", image) == "it runs"


def test_it_starts_at_boot(host: Host) -> None:
    assert host.service("docker").is_enabled
    assert host.service("docker").is_running


def test_the_modules_of_ansible_can_talk_to_it(host: Host) -> None:
    assert host.run("python3 -c 'import requests'").succeeded


def test_a_container_cannot_fill_the_disk_with_its_log(host: Host, image: str) -> None:
    host.check_output(
        "docker run --name chatty %s /bin/sh -c "
        "'i=0; while [ $i -lt 5000 ]; do echo line $i of many, each of which makes the log longer; "
        "i=$((i + 1)); done'",
        image,
    )
    log = host.check_output("docker inspect --format '{{.LogPath}}' chatty")

    sizes = host.check_output("stat --format %%s %s*", log).split()

    assert len(sizes) == 2
    assert all(int(size) <= 110_000 for size in sizes)
    assert host.check_output("docker logs --tail 1 chatty").startswith("line 4999 of many")


def test_containers_live_on_while_the_engine_restarts(host: Host, image: str) -> None:
    host.check_output("docker run --detach --name survivor %s /bin/sleep 600", image)
    pid = container_pid(host, "survivor")
    engine = host.check_output("systemctl show --property MainPID docker")

    host.check_output("systemctl restart docker")

    assert host.check_output("systemctl show --property MainPID docker") != engine
    assert container_pid(host, "survivor") == pid
    assert host.file(f"/proc/{pid}/cmdline").content_string.startswith("/bin/sleep")


def test_it_shows_its_metrics_to_the_host_alone(host: Host) -> None:
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9323/metrics').read().decode())"
    assert "engine_daemon_container_states_containers" in host.check_output("python3 -c %s", ask)
    assert host.socket("tcp://127.0.0.1:9323").is_listening
    assert not host.socket("tcp://0.0.0.0:9323").is_listening


def test_it_trusts_the_authorities_of_the_extra_bundle(host: Host) -> None:
    extra = host.file("/usr/local/share/ca-certificates/extra-ca-bundle.crt")
    if extra.exists:  # whether there is one is up to the controller's network
        trusted = host.file("/etc/ssl/certs/ca-certificates.crt").content_string
        assert extra.content_string.strip() in trusted
