"""A bill of material names what an image is made of."""

import re
from pathlib import Path

from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sbom.__main__ import IMAGES, of_desk, of_image
from tests.integration.images import build

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements/serve.txt"


def test_an_image_s_bill_names_debian_s_packages_and_each_pinned_one() -> None:
    build(IMAGES["model-server"], "shill/model-server")
    bill = of_image("model-server")
    found = {component.purl.to_string() for component in bill.components if component.purl}

    pinned = re.findall(r"^([^=\s]+)==([^ ;]+) \\$", LOCK.read_text(), re.MULTILINE)
    assert len(pinned) > 20
    assert {f"pkg:pypi/{name}@{version}" for name, version in pinned} <= found
    assert any(re.match(r"pkg:deb/debian/libstdc%2B%2B6@.*distro=debian-13$", one) for one in found)
    assert any(one.startswith("pkg:deb/debian/python3@") for one in found)
    written = JsonV1Dot6(bill).output_as_string()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None


def test_the_developer_s_environment_has_one_too() -> None:
    names = {component.name for component in of_desk().components}
    assert {"ansible-core", "scikit-learn", "pytest"} <= names


def test_each_image_has_one() -> None:
    dockerfiles = {str(path.relative_to(ROOT)) for path in ROOT.glob("flask_app/*/Dockerfile")}
    assert dockerfiles == set(IMAGES.values())
