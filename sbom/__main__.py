"""Writes the bills of material to .cache/sbom: `python -m sbom`.

One for each image, which is built if it is not there yet, and one for the environment that runs
this. Each names what is installed, by the same means in all of them, so it does not depend on what
the lock files promise.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

import flask_app

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "sbom"
INVENTORY = Path(__file__).with_name("inventory.py")
IMAGES = {
    "model-server": "flask_app/serving/Dockerfile",
    "drift": "flask_app/drift/Dockerfile",
    "review-desk": "flask_app/review/Dockerfile",
}


def of_image(name: str) -> Bom:
    """Return the bill of one of `IMAGES`."""
    image = _output(ROOT / "molecule/shared/image", IMAGES[name], f"shill/{name}").strip()
    listed = _output(
        *("docker", "run", "--rm", "--interactive", "--network=none", "--entrypoint=python"),
        *(image, "-"),
        stdin=INVENTORY.read_text(),
    )
    return _bill(Component(name=name, version=image, type=ComponentType.CONTAINER), listed)


def of_desk() -> Bom:
    """Return the bill of the environment that runs this, without the machine's own packages."""
    listed = json.loads(_output(sys.executable, INVENTORY)) | {"debian": []}
    desk = Component(name="desk", version=flask_app.__version__, type=ComponentType.APPLICATION)
    return _bill(desk, json.dumps(listed))


def _bill(subject: Component, listed: str) -> Bom:
    bom = Bom(components=_components(json.loads(listed)))
    bom.metadata.component = subject
    bom.register_dependency(subject, bom.components)
    return bom


def _components(listed: dict[str, Any]) -> Iterator[Component]:
    release = f"debian-{listed['release']}"
    for name, version, architecture in listed["debian"]:
        qualifiers = {"arch": architecture, "distro": release}
        yield _component(PackageURL("deb", "debian", name, version, qualifiers))
    for name, version in listed["python"]:
        yield _component(PackageURL("pypi", name=name, version=version))


def _component(package: PackageURL) -> Component:
    return Component(
        name=package.name, version=package.version, purl=package, bom_ref=package.to_string()
    )


def _output(*command: str | Path, stdin: str | None = None) -> str:
    return subprocess.run(
        command, cwd=ROOT, input=stdin, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    bills = {name: of_image(name) for name in IMAGES} | {"desk": of_desk()}
    for name, bill in bills.items():
        path = FOLDER / f"{name}.cdx.json"
        path.write_text(JsonV1Dot6(bill).output_as_string(indent=2) + "\n")
        print(f"{len(bill.components):>4} components  {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
