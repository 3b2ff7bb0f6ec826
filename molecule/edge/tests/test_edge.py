"""The edge ends TLS, keeps out what is not for clients, and tells what it refuses."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

Ask = Callable[..., Any]

KEY = "shill_abcdefgh_the-secret-part"
LOGIN = "Basic " + base64.b64encode(b"ann:correct horse battery").decode()


def problem(answer: Any) -> str:
    """The name of the problem that an answer is."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == answer.status
    return str(answer.json["type"]).removeprefix("/docs/errors#")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_its_certificate_is_for_each_name(ask: Ask, name: str) -> None:
    assert ask("/ready", base=f"https://{name}").status == 200


def test_http_redirects_to_https(ask: Ask) -> None:
    answer = ask("/model?a=b", base="http://localhost")
    assert (answer.status, answer.headers["location"]) == (308, "https://localhost/model?a=b")


@pytest.mark.parametrize(
    ("protocol", "accepted"),
    [("tls1", False), ("tls1_1", False), ("tls1_2", True), ("tls1_3", True)],
)
def test_it_speaks_current_tls_alone(host: Host, protocol: str, accepted: bool) -> None:
    connect = f"openssl s_client -connect 127.0.0.1:443 -{protocol} -cipher ALL:@SECLEVEL=0 -brief"
    assert host.run(f"{connect} </dev/null").succeeded is accepted


def test_it_passes_on_the_key_and_an_id_of_its_own(host: Host, ask: Ask) -> None:
    sent = {"Authorization": f"Bearer {KEY}", "X_Request_Id": "mine", "X_Forwarded_For": "6.6.6.6"}
    answer = ask("/predict", method="POST", size=3, **sent)
    seen = answer.json["headers"]
    request_id = answer.headers["x-request-id"]
    assert len(request_id) == 32
    assert seen["X-Request-Id"] == request_id
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["Authorization"] == f"Bearer {KEY}"
    assert answer.json["bytes"] == 3
    host.check_output(
        f"until grep --quiet {request_id} /var/log/nginx/access.log; do sleep 0.2; done"
    )
    line = host.check_output(f"grep {request_id} /var/log/nginx/access.log")
    logged = json.loads(line)
    assert (logged["key"], logged["path"], logged["status"]) == ("abcdefgh", "/predict", 200)
    assert "secret" not in line


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics/",
        "//metrics",
        "/%6detrics",
        "/docs/../metrics",
        "/model/../metrics",
        "/nothing",
        "/predict/x",
    ],
)
def test_what_is_not_for_clients_is_not_found(ask: Ask, path: str) -> None:
    assert problem(ask(path)) == "not-found"


def test_it_tells_browsers_to_be_careful(ask: Ask) -> None:
    headers = ask("/docs").headers
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["x-content-type-options"] == "nosniff"
    assert "nginx/" not in headers["server"]


@pytest.mark.parametrize(("page", "path"), [("/reports/a", "/a"), ("/review/a", "/review/a")])
def test_pages_for_people_are_behind_a_login_which_they_do_not_see(
    ask: Ask, page: str, path: str
) -> None:
    assert ask(page).status == 401
    wrong = "Basic " + base64.b64encode(b"ann:wrong").decode()
    assert ask(page, Authorization=wrong).status == 401
    answer = ask(page, Authorization=LOGIN)
    assert (answer.status, answer.json["path"]) == (200, path)
    assert "Authorization" not in answer.json["headers"]
    prefix = answer.json["headers"].get("SCRIPT_NAME")
    assert prefix == ("/review" if "review" in page else None)


def test_the_desk_is_told_who_has_logged_in_whatever_a_client_says(ask: Ask) -> None:
    answer = ask("/review/a", **{"Authorization": LOGIN, "Remote-User": "eve"})
    assert answer.json["headers"]["Remote-User"] == "ann"


def test_grafana_asks_for_its_own_login(ask: Ask) -> None:
    answer = ask("/grafana/d/shill-service?kiosk", Authorization=LOGIN)
    assert (answer.status, answer.json["path"]) == (200, "/d/shill-service?kiosk")
    assert answer.json["headers"]["Authorization"] == LOGIN


def test_a_body_beyond_the_limit_is_refused(ask: Ask) -> None:
    answer = ask("/predict", method="POST", size=8388609)
    assert (answer.status, problem(answer)) == (413, "body-too-large")


def test_batches_of_lines_may_be_of_any_size(ask: Ask) -> None:
    assert ask("/predict_batch", method="POST", size=9_000_000).json["bytes"] == 9_000_000


SLOW = """
import socket, ssl, sys
sent = sys.argv[1].encode().decode("unicode_escape").encode()
context = ssl.create_default_context(cafile="/etc/shill-edge/authority.pem")
with socket.create_connection(("127.0.0.1", 443), timeout=30) as plain:
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(sent)
        try:
            print(len(connection.recv(65536)))
        except ConnectionResetError:
            print(0)
"""


@pytest.mark.parametrize(
    "sent",
    [
        r"POST /predict HTTP/1.1\r\nHost:",
        r"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx",
    ],
    ids=["head", "body"],
)
def test_a_client_that_sends_nothing_more_is_left(host: Host, sent: str) -> None:
    host.check_output("python3 -c %s %s", SLOW, sent)


def test_a_refusal_of_the_server_passes_as_it_is(ask: Ask) -> None:
    answer = ask("/predict?status=503")
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert answer.json["path"] == "/predict?status=503"


def test_a_server_that_is_away_is_told_of(ask: Ask, backend: Callable[[str], None]) -> None:
    backend("stop")
    try:
        answer = ask("/predict", method="POST", size=1)
    finally:
        backend("start")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert problem(answer) == "not-ready"


MANY = """
import collections, http.client, json, ssl
trust = ssl.create_default_context(cafile="/etc/shill-edge/authority.pem")
connection = http.client.HTTPSConnection("localhost", context=trust, timeout=20)
ports = collections.Counter()
for _ in range(400):
    connection.request("POST", "/predict", b"x")
    ports[json.loads(connection.getresponse().read())["port"]] += 1
print(json.dumps(ports))
"""


def test_a_candidate_gets_its_share_of_the_requests_without_a_reload(
    host: Host, backend: Callable[..., None]
) -> None:
    def answered() -> dict[str, int]:
        found: dict[str, int] = json.loads(host.check_output("python3 -c %s", MANY))
        return found

    shares = "/var/lib/shill-edge/canary"
    assert answered() == {"8000": 400}
    host.check_output(f"touch {shares}/1 {shares}/5 {shares}/10 {shares}/25")
    split = answered()
    assert split["8000"] + split["8900"] == 400
    # A quarter of 400 is 100; six standard deviations are 52.
    assert 48 < split["8900"] < 152
    backend("stop", 8900)
    assert answered() == {"8000": 400}
    backend("start", 8900)
    host.check_output(f"rm {shares}/*")
    assert answered() == {"8000": 400}


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/etc/shill-edge", 0o711),
        ("/etc/shill-edge/pair.pem", 0o640),
        ("/etc/shill-edge/authority.key", 0o600),
        ("/etc/nginx/people", 0o640),
    ],
)
def test_secrets_are_root_s(host: Host, path: str, mode: int) -> None:
    file = host.file(path)
    assert (file.user, file.mode) == ("root", mode)
    assert not file.is_file or "correct horse" not in file.content_string


def test_a_certificate_that_ends_soon_is_renewed_and_served_without_a_reload(host: Host) -> None:
    served = "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout"
    workers = "pgrep --parent $(cat /run/nginx.pid)"
    assert host.check_output("shill-edge-certificate") == ""
    before = host.check_output(f"{served} -serial"), host.check_output(f"{served} -pubkey")
    working = host.check_output(workers)
    # One of the authority's own that has 20 days left.
    host.check_output(
        "cd /etc/shill-edge && openssl req -new -key pair.pem -subj /CN=localhost"
        " | openssl x509 -req -CA authority.pem -CAkey authority.key -days 20 -out /root/soon.pem"
        " && openssl pkey -in pair.pem -out /root/key.pem"
        " && cat /root/key.pem /root/soon.pem >pair.pem"
    )
    assert host.run(f"{served} -checkend {30 * 86400}").failed
    assert host.check_output("shill-edge-certificate") == "There is a new certificate."
    assert host.run(f"{served} -checkend {80 * 86400}").succeeded
    after = host.check_output(f"{served} -serial"), host.check_output(f"{served} -pubkey")
    assert (after[0] != before[0], after[1]) == (True, before[1])
    assert host.check_output(workers) == working
    assert host.service("shill-edge-certificate.timer").is_enabled


def test_a_new_key_is_served_without_a_reload(host: Host) -> None:
    key = "openssl s_client -connect 127.0.0.1:443 </dev/null 2>&1 | openssl x509 -noout -pubkey"
    workers = "pgrep --parent $(cat /run/nginx.pid)"
    before, working = host.check_output(key), host.check_output(workers)
    assert host.check_output("shill-edge-certificate new-key") == "There is a new certificate."
    assert host.check_output(key) != before
    assert host.check_output(workers) == working
    assert host.check_output("shill-edge-certificate") == ""
