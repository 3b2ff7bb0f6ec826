"""A host shows what is suspicious and keeps what is decided; nobody else reaches its desk."""

import json
import re
import time
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest
from testinfra.host import Host

URL = "http://127.0.0.1:8002"
ASK = """
import sys, urllib.parse, urllib.request
fields = dict(pair.split("=", 1) for pair in sys.argv[2:])
body = urllib.parse.urlencode(fields).encode() if fields else None
print(urllib.request.urlopen(sys.argv[1], body, timeout=10).read().decode())
"""

Ask = Callable[..., str]


@pytest.fixture(scope="module")
def ask(host: Host) -> Ask:
    """Return a page, or the one after a form was sent; fails unless its status is 200."""

    def run(path: str, **fields: str) -> str:
        arguments = [URL + path, *(f"{name}={value}" for name, value in fields.items())]
        quoted = " ".join(["%s"] * (1 + len(arguments)))
        return str(host.check_output(f"python3 -c {quoted}", ASK, *arguments))

    return run


@pytest.fixture(scope="module")
def described(host: Host) -> dict[str, Any]:
    """What the engine says of the container."""
    found: dict[str, Any] = json.loads(host.check_output("docker inspect review-desk"))[0]
    return found


def test_the_queue_leads_to_an_auction_whose_bids_are_drawn(ask: Ask) -> None:
    assert json.loads(ask("/ready"))["status"] == "ready"
    first = re.search(r'<td><a href="([^"]+)">', ask("/?band=all"))
    assert first
    page = ask(first[1].replace("&amp;", "&"))
    assert "<circle" in page
    assert 'class="reasons"' in page


def test_a_decision_reaches_the_label_log_and_outlives_the_container(ask: Ask, host: Host) -> None:
    link = re.search(r'<td><a href="([^"]+)">', ask("/?band=all"))
    assert link
    page = ask(link[1].replace("&amp;", "&"))
    identifier = re.search(r'name="prediction_id" value="([^"]+)"', page)
    assert identifier
    said = ask("/decisions", prediction_id=identifier[1], verdict="shill", reviewer="Ada")
    assert "Recorded:" in said
    lines = host.check_output("cat /var/lib/shill/predictions/labels/dt=*/*.jsonl").splitlines()
    label = json.loads(lines[-1])
    assert (label["prediction_id"], label["is_shill"]) == (identifier[1], True)
    assert label["reviewer"] == "Ada"

    host.check_output("docker restart review-desk")
    for _ in range(60):
        if host.run(f"python3 -c %s {URL}/ready", ASK).succeeded:
            break
        time.sleep(1)
    assert "by Ada" in ask("/?band=all&state=shill")


def test_only_the_host_itself_reaches_it(host: Host) -> None:
    listening = host.check_output("ss --listening --tcp --numeric --no-header 'sport = :8002'")
    assert [line.split()[3] for line in listening.splitlines()] == ["127.0.0.1:8002"]


def test_the_container_has_few_rights_and_firm_limits(described: dict[str, Any]) -> None:
    limits = described["HostConfig"]
    assert described["Config"]["User"] == "10001:10001"
    assert limits["ReadonlyRootfs"]
    assert limits["CapDrop"] == ["ALL"]
    assert not limits["CapAdd"]
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert limits["Memory"] == limits["MemorySwap"] == 2**30
    assert limits["PidsLimit"] == 128
    assert limits["RestartPolicy"]["Name"] == "unless-stopped"


def test_it_may_write_labels_and_neither_models_nor_tables(host: Host) -> None:
    attempts = dict.fromkeys(("/models/x", "/srv/site/auctions.csv", "/opt/shill/x"), False)
    for path, allowed in (attempts | {"/predictions/labels/x": True}).items():
        assert host.run(f"docker exec review-desk touch {path}").succeeded is allowed, path
    host.check_output("docker exec review-desk rm /predictions/labels/x")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"review_desk_bids": ""}, "give both tables, or neither"),
        ({"review_desk_auctions": "/srv/none.csv"}, "The host has no /srv/none.csv"),
        ({"review_desk_bids": "site/bids.csv"}, "give a whole path, or s3://BUCKET/PREFIX"),
        ({"review_desk_bind": "8002"}, "it must be an address and a port"),
        ({"review_desk_archive": "bucket"}, "it must be s3://BUCKET, or empty"),
        ({"review_desk_settings": {"review_bind": "x"}}, "review_bind, which the role sets itself"),
    ],
)
def test_a_bad_option_is_refused_before_anything_changes(
    converge: Callable[..., CompletedProcess[str]],
    host: Host,
    options: dict[str, object],
    complaint: str,
) -> None:
    before = host.check_output("docker inspect --format '{{.Id}}' review-desk")
    done = converge("--tags=review_desk:run", **options)
    assert done.returncode != 0
    assert complaint in " ".join(done.stdout.split())
    assert host.check_output("docker inspect --format '{{.Id}}' review-desk") == before
