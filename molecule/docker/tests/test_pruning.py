"""What the timer throws away, and what it spares."""

import base64
import hashlib
import io
import json
import tarfile

from testinfra.host import Host

LONG_AGO = "2020-01-01T00:00:00Z"


def tar(files: dict[str, bytes]) -> bytes:
    """An archive of these files."""
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return result.getvalue()


def load(host: Host, name: str, **labels: str) -> None:
    """Give the engine an image that was made long ago, which `docker build` cannot."""
    layer = tar({"name": name.encode()})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": LONG_AGO,
        "config": {"Labels": labels, "Cmd": ["nothing"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config", "RepoTags": [f"{name}:latest"], "Layers": ["layer"]}]
    image = tar(
        {
            "config": json.dumps(config).encode(),
            "layer": layer,
            "manifest.json": json.dumps(manifest).encode(),
        }
    )
    host.check_output("echo %s | base64 --decode | docker load", base64.b64encode(image).decode())


def test_it_is_scheduled(host: Host) -> None:
    timer = host.service("docker-prune.timer")
    assert timer.is_enabled
    assert timer.is_running


def test_it_spares_images_that_are_used_or_labelled_or_new(host: Host, image: str) -> None:
    load(host, "old")
    load(host, "old-but-labelled", **{"shill.keep": "yes"})
    load(host, "old-but-used")
    host.check_output("docker create --name user old-but-used")

    host.check_output("systemctl start docker-prune.service")

    left = host.check_output("docker images --format '{{.Repository}}'").split()
    assert sorted(left) == ["old-but-labelled", "old-but-used", image]
