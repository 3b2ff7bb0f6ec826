"""A promoted model takes over while requests are served; a bad one changes nothing."""

import hashlib
import itertools
import os
from pathlib import Path

from tests.integration.conftest import Figure, Serve
from tests.integration.server import RECORD, Server, load, wait_until

RELOADS = int(os.environ.get("RELOADS", "100"))
MEGABYTE = 2**20


def use(server: Server, version: str) -> None:
    """Promote `version` and wait until every worker has loaded it."""
    loads = f"model {version} is in use"
    before = server.text().count(loads)
    server.store.promote(version)
    wait_until(lambda: server.text().count(loads) == before + server.workers)


def production_first(server: Server) -> tuple[str, str]:
    """Return the version in production and the other one."""
    pointer = server.store.production()
    assert pointer is not None
    (other,) = set(server.store.versions()) - {pointer.version}
    return pointer.version, other


def flip_a_byte(file: Path) -> None:
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_hundred_reloads_drop_no_request_and_keep_no_memory(
    serve: Serve, record_property: Figure
) -> None:
    server = serve()
    in_use, other = production_first(server)
    versions = itertools.cycle((other, in_use))
    with load(server, threads=4) as traffic:
        for _ in range(RELOADS // 5):
            use(server, next(versions))
        settled = server.resident_bytes()
        for _ in range(RELOADS - RELOADS // 5):
            use(server, next(versions))
        final = server.resident_bytes()
    record_property(
        f"{RELOADS} reloads under load",
        f"{len(traffic.acknowledged)} predictions, {traffic.lost} lost; resident MB of the workers "
        f"{[size // MEGABYTE for size in settled]} -> {[size // MEGABYTE for size in final]}",
    )
    assert (traffic.refused, traffic.lost) == ([], 0)
    answered_by = {line.model_version for line in server.logged()[0]}
    assert answered_by == set(server.store.versions())
    assert max(final) < 250 * MEGABYTE
    for before, after in zip(settled, final, strict=True):
        assert after - before < 8 * MEGABYTE
    assert server.metric("shill_model_load_failures_total") == 0


def test_a_corrupt_bundle_leaves_the_old_model_serving(serve: Serve) -> None:
    server = serve()
    good, bad = production_first(server)
    damaged = server.store.fetch(bad) / "model.onnx"
    expected = hashlib.sha256(damaged.read_bytes()).hexdigest()
    flip_a_byte(damaged)
    actual = hashlib.sha256(damaged.read_bytes()).hexdigest()

    server.store.promote(bad)
    # Each of the two workers tries, and tries again later.
    wait_until(lambda: server.metric("shill_model_load_failures_total", reason="checksum") >= 2)
    for _ in range(10):
        assert server.post("/predict", RECORD).json["model_version"] == good
        assert server.get("/ready").status == 200
        assert server.metric("shill_model_info", version=good) == 1
        assert server.metric("shill_model_info", version=bad) == 0
    errors = [entry["message"] for entry in server.entries() if entry["level"] == "error"]
    assert len(errors) == server.workers, "each worker says it once"
    for message in errors:
        assert str(damaged) in message
        assert expected in message
        assert actual in message

    server.store.promote(good)
    wait_until(lambda: server.get("/model").json["version"] == good)
    flip_a_byte(damaged)
    use(server, bad)
    assert server.post("/predict", RECORD).json["model_version"] == bad


def test_a_worker_that_starts_on_a_corrupt_bundle_falls_back_to_the_previous_one(
    serve: Serve,
) -> None:
    server = serve(workers=1)
    good, bad = production_first(server)
    flip_a_byte(server.store.fetch(bad) / "model.onnx")
    server.store.promote(bad)
    wait_until(lambda: server.metric("shill_model_load_failures_total") >= 1)
    (worker,) = server.pids()
    os.kill(worker, 9)
    wait_until(lambda: server.text().count("Application startup complete") == 2)
    assert server.get("/ready").status == 200
    assert server.post("/predict", RECORD).json["model_version"] == good
