"""The lab, as its user meets it: from the controller, through the published port."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest
from testinfra.host import Host

from demo.lab import Lab

ROOT = Path(__file__).resolve().parents[3]
Ask = Callable[..., tuple[int, str, Any]]


def playbook(*arguments: str) -> CompletedProcess[str]:
    """Run playbooks as the documentation tells to."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ANSIBLE", "MOLECULE"))}
    return subprocess.run(
        ["ansible-playbook", *arguments],
        cwd=ROOT / "ansible",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The manifest of what is in production in the controller's store."""
    store = Path(os.environ.get("SHILL_MODEL_STORE", ROOT / "models"))
    version = json.loads((store / "production.json").read_text())["version"]
    read: dict[str, Any] = json.loads((store / version / "manifest.json").read_text())
    return read


def test_the_controller_s_model_is_served_to_the_last_golden_row(
    ask: Ask, manifest: dict[str, Any]
) -> None:
    records = [{"auction_id": "g", **row["features"]} for row in manifest["golden_rows"]]
    status, _, answer = ask("/predict_batch", records)
    assert status == 200
    assert {p["model_version"] for p in answer["predictions"]} == {manifest["version"]}
    assert [p["probability"] for p in answer["predictions"]] == pytest.approx(
        [row["probability"] for row in manifest["golden_rows"]], abs=1e-6
    )


def test_a_bad_record_is_refused_with_reasons(ask: Ask) -> None:
    status, content_type, problem = ask("/predict", {"auction_id": "g", "bidding_ratio": 1.7})
    assert 400 <= status < 500
    assert content_type == "application/problem+json"
    assert "/bidding_ratio" in json.dumps(problem)


def test_who_has_no_key_is_refused_and_metrics_are_for_nobody(ask: Ask) -> None:
    assert ask("/model", key="")[0] == 401
    assert ask("/metrics")[0] == 404


def test_the_desk_is_behind_the_edge_s_login_under_its_own_prefix() -> None:
    lab = Lab()
    password = (lab.files / "people-password").read_text().strip()
    with httpx.Client(verify=lab.trusted, trust_env=False) as browser:
        assert browser.get(f"{lab.edge}/review/").status_code == 401
        browser.auth = ("lab", password)
        page = browser.get(f"{lab.edge}/review/")
        assert page.status_code == 200
        style = re.search(r'href="(/review/static/[^"]+)"', page.text)
        assert style
        assert browser.get(lab.edge + style[1]).status_code == 200
        elsewhere = {"Origin": "https://elsewhere.example"}
        refused = browser.post(f"{lab.edge}/review/decisions", headers=elsewhere, data={})
        assert refused.status_code == 403
        taken = browser.post(f"{lab.edge}/review/decisions", headers={"Origin": lab.edge}, data={})
        assert taken.status_code == 400


def test_the_reports_are_behind_the_same_login() -> None:
    lab = Lab()
    answer = httpx.get(f"{lab.edge}/reports/", verify=lab.trusted, trust_env=False)
    assert answer.status_code == 401


def test_it_tells_how_old_the_packages_in_its_images_are(host: Host) -> None:
    host.check_output("/usr/local/sbin/shill-images")

    written = host.file("/var/lib/node_exporter/textfile/shill_images.prom").content_string
    samples = dict(
        re.findall(r'^shill_image_debian_\w+{image="(.+)"} (\d+)$', written, re.MULTILINE)
    )
    assert set(samples) == {"shill/drift", "shill/model-server", "shill/review-desk"}
    # Built from mirrors: as old as the image.
    assert all(0 <= time.time() - int(sample) < 86400 for sample in samples.values())


def test_root_follows_no_link_that_a_container_has_put_among_the_metrics(host: Host) -> None:
    link = "/var/lib/node_exporter/textfile/.shill_images"
    host.check_output(f"runuser --user shill -- ln -s /etc/planted {link}")
    try:
        assert host.run("/usr/local/sbin/shill-images").rc != 0
        assert not host.file("/etc/planted").exists
    finally:
        host.check_output(f"rm {link}")


def test_the_documented_command_changes_nothing_more() -> None:
    # This is the scenario's idempotence run, so it has the lab's own playbook too.
    done = playbook("site.yml", "../molecule/default/inbox.yml")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^shill-lab .* changed=0 ", done.stdout, re.MULTILINE), done.stdout


def test_a_tag_runs_its_role_alone() -> None:
    done = playbook("site.yml", "--tags=backup")
    assert done.returncode == 0, done.stdout
    assert "backup : Install what makes archives" in done.stdout
    assert "edge : " not in done.stdout.replace("edge : Validating", "")


def test_a_promotion_of_nothing_is_refused() -> None:
    done = playbook("promote.yml")
    assert done.returncode != 0
    assert "version is not set" in done.stdout


def test_status_tells_of_everything_on_one_screen(manifest: dict[str, Any]) -> None:
    done = playbook("status.yml")
    assert done.returncode == 0, done.stdout
    assert "CANNOT BE TOLD" not in done.stdout
    told = dict(re.findall(r"^ +- '?(\w+(?: \w+)?) {2,}(.*?)'?$", done.stdout, re.MULTILINE))
    assert set(told) == {
        *(
            "server",
            "last deploy",
            "drift",
            "keys",
            "containers",
            "disk",
            "certificate",
            "backup",
            "alerts",
        )
    }
    assert told["server"].startswith(f"ready, model {manifest['version']}, release ")
    assert "key-made" in told["last deploy"]
    assert told["keys"] == "1 in force"
    assert told["certificate"] == "ends in 90 days"
    assert told["backup"] == "none"


def test_logs_are_shown_of_every_part() -> None:
    done = playbook("logs.yml", "--extra-vars=lines=2")
    assert done.returncode == 0, done.stdout
    for part in ("docker logs model-server-", "shill/deploy.log", "nginx/access.log"):
        assert part in done.stdout


def test_what_cannot_be_rolled_back_is_refused(ask: Ask) -> None:
    done = playbook("rollback.yml")
    assert done.returncode != 0
    assert "no previous version" in " ".join(done.stdout.split())
    assert ask("/ready")[0] == 200


def test_without_a_bundle_nothing_is_touched() -> None:
    done = playbook("site.yml", "--extra-vars=model_server_bundle=/nowhere")
    assert done.returncode != 0
    assert "make bundle" in " ".join(done.stdout.split())
    assert re.search(r"^shill-lab .* changed=0 ", done.stdout, re.MULTILINE), done.stdout
