#!/usr/bin/env python3
"""Build context of an image: which files, and the tag they make.

    image_context.py DOCKERFILE                          print the tag
    image_context.py DOCKERFILE --tar /dev/stdout        write the context, for `docker build -`

The context is what `DOCKERFILE.dockerignore` admits; the tag is the hash of its paths and contents
and of the base image. So the same tree has the same tag on every machine and however it gets to a
host, an unchanged image is never built again, and each image changes with its own files alone.
Needs the standard library only.
"""

import argparse
import hashlib
import io
import re
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EXTRA_CA = "extra-ca.pem"
"""Trusted while building and left nowhere in the image: not a part of its tag."""


def _matches(pattern: str, path: str) -> bool:
    """Tell whether a `.dockerignore` pattern names `path` or a directory above it."""
    expression = re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(f"{expression}(/.*)?", path) is not None


def context_files(dockerfile: str, root: Path = ROOT) -> list[str]:
    """Paths below `root` that `dockerfile` may see, sorted; the last matching line decides."""
    lines = (root / f"{dockerfile}.dockerignore").read_text().splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    admitted = {line[1:].split("/")[0] for line in patterns if line.startswith("!")}
    files = []
    for top in sorted(admitted):
        for path in [root / top, *sorted((root / top).rglob("*"))]:
            name = path.relative_to(root).as_posix()
            verdicts = [p for p in patterns if _matches(p.removeprefix("!"), name)]
            if path.is_file() and name != EXTRA_CA and verdicts[-1].startswith("!"):
                files.append(name)
    return files


def image_tag(dockerfile: str, root: Path = ROOT, base_image: str = "") -> str:
    """Return the 12 hex digits that name the image built from `root`.

    Args:
        dockerfile: Path of the image's Dockerfile below `root`.
        root: The checkout.
        base_image: The BASE_IMAGE it is built on; empty for the Dockerfile's own default, which
            the Dockerfile's content stands for.
    """
    digest = hashlib.sha256(base_image.encode())
    for name in context_files(dockerfile, root):
        content = hashlib.sha256((root / name).read_bytes()).hexdigest()
        digest.update(f"\n{content}  {name}".encode())
    return digest.hexdigest()[:12]


def write_tar(
    dockerfile: str, target: Path, root: Path = ROOT, extra_ca: Path | None = None
) -> None:
    """Write the context as a tar, without this machine's owners, modes and times.

    Args:
        dockerfile: Path of the image's Dockerfile below `root`.
        target: The file, or a pipe; its directory is made.
        root: The checkout.
        extra_ca: PEM file of certificate authorities for the build to trust, if any.
    """
    members = {name: root / name for name in context_files(dockerfile, root)}
    if extra_ca:
        members[EXTRA_CA] = extra_ca
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w|") as tar:
        for name, path in members.items():
            content = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def main() -> None:
    """Write the context where asked, else print the tag."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dockerfile", help="its path in this checkout")
    parser.add_argument("--base-image", default="", help="BASE_IMAGE, if not the Dockerfile's own")
    parser.add_argument("--tar", type=Path, help="write the context to this file")
    parser.add_argument("--extra-ca", type=Path, help="add these certificate authorities to it")
    arguments = parser.parse_args()
    if arguments.tar:
        write_tar(arguments.dockerfile, arguments.tar, extra_ca=arguments.extra_ca)
    else:
        print(image_tag(arguments.dockerfile, base_image=arguments.base_image))  # noqa: T201


if __name__ == "__main__":
    main()
