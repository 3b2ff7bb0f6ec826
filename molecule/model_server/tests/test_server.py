"""A provisioned host serves the model, within bounds, and goes on doing so."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

Ask = Callable[..., Any]
Container = Callable[[], dict[str, Any]]


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes true; what it raises counts as not yet."""
    for _ in range(60):
        try:
            if condition():
                return True
        except (AssertionError, IndexError):
            pass
        time.sleep(1)
    return False


def test_it_is_ready_with_the_bundle_s_model(container: Container, ask: Ask) -> None:
    ready = ask("/ready")
    assert ready["status"] == "ready"
    assert container()["Name"] == f"/model-server-{ready['release']}"


def test_every_golden_row_has_the_probability_it_was_published_with(
    ask: Ask, golden_rows: list[dict[str, Any]]
) -> None:
    records = [{"auction_id": "golden", **row["features"]} for row in golden_rows]
    predictions = ask("/predict_batch", records)["predictions"]
    assert [p["probability"] for p in predictions] == pytest.approx(
        [row["probability"] for row in golden_rows], abs=1e-6
    )


def test_it_scores_auctions_with_the_controllers_profiles(ask: Ask) -> None:
    profiles = ask("/ready")["profiles"]
    auction = {
        "auction_id": "new",
        "seller_id": "s1",
        "starting_price": 1,
        "opened_at": "2026-01-01T00:00:00Z",
        "closes_at": "2026-01-04T00:00:00Z",
    }
    bid = {"bid_id": "1", "bidder_id": "b1", "amount": 2, "placed_at": "2026-01-02T00:00:00Z"}
    answer = ask("/score_auction?dry_run=true", {"auction": auction, "bids": [bid]})
    assert answer["profiles"] == profiles["version"]
    assert [bidder["bidder_id"] for bidder in answer["bidders"]] == ["b1"]


def test_the_container_has_few_rights_and_firm_limits(container: Container) -> None:
    described = container()
    limits = described["HostConfig"]
    assert described["Config"]["User"] == "10001:10001"
    assert limits["ReadonlyRootfs"]
    assert not limits["Privileged"]
    assert limits["CapDrop"] == ["ALL"]
    assert not limits["CapAdd"]
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert limits["Memory"] == limits["MemorySwap"] == 512 * 2**20
    assert limits["PidsLimit"] == 128
    assert limits["NanoCpus"] > 0
    assert limits["RestartPolicy"]["Name"] == "unless-stopped"
    assert limits["NetworkMode"] == "host"
    assert "max-size" in limits["LogConfig"]["Config"]


def test_it_may_write_predictions_but_neither_models_nor_profiles(
    host: Host, container: Container
) -> None:
    name = container()["Name"]
    attempts = dict.fromkeys(("/keys/x", "/models/x", "/profiles/x", "/opt/shill/x"), False)
    attempts |= {"/predictions/x": True, "/tmp/x": True}  # noqa: S108
    for path, allowed in attempts.items():
        assert host.run(f"docker exec {name} touch {path}").succeeded is allowed, path
    host.check_output(f"docker exec {name} rm /predictions/x")


def test_its_environment_is_settings_and_nothing_secret(container: Container) -> None:
    names = {variable.split("=")[0] for variable in container()["Config"]["Env"]}
    assert names == {
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
        "SHILL_BIND",
        "SHILL_KEY_STORE",
        "SHILL_LOG_DIR",
        "SHILL_MODEL_STORE",
        "SHILL_PROFILE_STORE",
        "SHILL_RELEASE",
    }


@pytest.mark.parametrize(
    ("path", "owner", "mode"),
    [
        ("/var/lib/shill", "root", 0o755),
        ("/var/lib/shill/keys", "shill", 0o700),
        ("/var/lib/shill/models", "shill", 0o755),
        ("/var/lib/shill/profiles", "shill", 0o755),
        ("/var/lib/shill/predictions", "shill", 0o750),
        ("/var/log/shill/deploy.log", "root", 0o640),
    ],
)
def test_files_belong_to_whom_they_must(host: Host, path: str, owner: str, mode: int) -> None:
    file = host.file(path)
    assert (file.user, file.mode) == (owner, mode)


def test_a_published_version_cannot_be_written(host: Host) -> None:
    writable = "find /var/lib/shill/models -mindepth 2 -type f -perm /222"
    assert host.check_output(writable) == ""


def test_the_image_holds_no_tools_and_no_trace_of_its_build(
    host: Host, container: Container
) -> None:
    name = container()["Name"]
    tools = "for t in pip pip3 gcc cc curl wget; do command -v $t; done; ls -d /build /opt/shill/*"
    assert host.run(f"docker exec {name} sh -c '{tools}'").stdout.split() == [
        "/opt/shill/flask_app",
        "/opt/shill/venv",
    ]


def test_nothing_of_a_deploy_stays_behind(host: Host) -> None:
    assert host.check_output("ls -A /var/cache/container-image") == ""
    assert sorted(host.file("/var/lib/shill").listdir()) == [
        "keys",
        "models",
        "predictions",
        "profiles",
    ]


# Before the engine restarts: 20.10 checks no container that it has found running.
def test_the_engine_calls_it_healthy(container: Container) -> None:
    assert eventually(lambda: container()["State"]["Health"]["Status"] == "healthy")


def test_a_crashed_server_comes_back(host: Host, container: Container, ask: Ask) -> None:
    before = container()
    host.check_output(f"kill -9 {before['State']['Pid']}")

    assert eventually(lambda: container()["RestartCount"] == before["RestartCount"] + 1)
    assert eventually(lambda: ask("/ready")["status"] == "ready")


def test_the_engine_s_restart_does_not_interrupt_it(
    host: Host, container: Container, ask: Ask
) -> None:
    before = container()["State"]
    host.check_output("systemctl restart docker")

    assert ask("/ready")["status"] == "ready"
    assert container()["State"]["StartedAt"] == before["StartedAt"]
