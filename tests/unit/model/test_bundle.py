import hashlib
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flask_app.errors import BundleError, ChecksumError
from flask_app.model.bundle import Bundle
from flask_app.store.bundle import MANIFEST
from tests.bundles import make_bundle

FILES = ("model.onnx", "reference.parquet", "drift_calibration.json", "MODEL_CARD.md")


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest's JSON, as by hand."""
    content = json.loads((bundle / MANIFEST).read_bytes())
    change(content)
    (bundle / MANIFEST).write_text(json.dumps(content))


def flip_a_byte(path: Path) -> tuple[str, str]:
    """Returns the sha256 before and after."""
    content = bytearray(path.read_bytes())
    before = hashlib.sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return before, hashlib.sha256(content).hexdigest()


def test_a_bundle_as_written_is_accepted(bundle: Path) -> None:
    Bundle.open(bundle).verify()


def test_the_version_is_the_directorys_name_and_belongs_to_the_content(bundle: Path) -> None:
    manifest = Bundle.open(bundle).manifest

    assert manifest.version == manifest.content_version() == bundle.name
    assert re.fullmatch(r"tests-[0-9a-f]{12}", manifest.version)


def test_the_same_content_has_the_same_version_whenever_it_is_made(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "again").mkdir()
    manifest = Bundle.open(bundle).manifest
    later = msgspec.structs.replace(manifest, created_at=datetime(2030, 1, 1, tzinfo=UTC))

    assert make_bundle(tmp_path / "again").name == bundle.name
    assert later.content_version() == manifest.version


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_told_with_the_file_and_both_sums(bundle: Path, name: str) -> None:
    before, after = flip_a_byte(bundle / name)

    with pytest.raises(ChecksumError) as caught:
        Bundle.open(bundle).verify()

    assert str(bundle / name) in str(caught.value)
    assert before in str(caught.value)
    assert after in str(caught.value)


def test_a_manifest_other_than_the_expected_one_is_told_with_both_sums(bundle: Path) -> None:
    actual = hashlib.sha256((bundle / MANIFEST).read_bytes()).hexdigest()
    Bundle.open(bundle, manifest_sha256=actual)

    with pytest.raises(ChecksumError, match=f"manifest.json has sha256 {actual}, expected 000"):
        Bundle.open(bundle, manifest_sha256="0" * 64)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / name).unlink()

    with pytest.raises(BundleError, match=rf"{name} cannot be read \(No such file"):
        Bundle.open(bundle).verify()


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"absent/manifest.json cannot be read"):
        Bundle.open(tmp_path / "absent")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.update(schema_version=2), "schema_version 2 is unknown, this release reads 3"),
        (lambda m: m.pop("schema_version"), "missing required field `schema_version`"),
        (lambda m: m.pop("dataset"), "missing required field `dataset`"),
        (lambda m: m.update(surprise=1), "unknown field `surprise`"),
        (lambda m: m["threshold"].update(value=1.5), r"<= 1.0 - at `\$.threshold.value`"),
        (lambda m: m["threshold"].update(value=None), r"got `null` - at `\$.threshold.value`"),
        (lambda m: m["threshold"].update(value=0.6), "does not belong to its content"),
        (lambda m: m["golden_rows"].pop(), "does not belong to its content"),
        (lambda m: m.update(golden_rows=m["golden_rows"][:15]), "length >= 16"),
        (lambda m: m["golden_rows"][3].update(probability=None), r"golden_rows\[.*\].probability"),
        (lambda m: m["golden_rows"][3]["features"].popitem(), r"golden_rows\[3\].features are"),
        (lambda m: m["features"].reverse(), "features are auction_duration, winning_ratio"),
        (lambda m: m["features"].pop(), "this release serves bidder_tendency"),
        (lambda m: m["files"].pop("model.onnx"), "files does not list model.onnx"),
        (lambda m: m["files"].pop("reference.parquet"), "does not list reference.parquet"),
        (lambda m: m["files"].pop("drift_calibration.json"), "does not list drift_calibration"),
        (lambda m: m["files"].update({"../evil": "0" * 64}), r"'../evil': a plain file name"),
        (lambda m: m["files"].update({"/etc/passwd": "0" * 64}), "a plain file name"),
        (lambda m: m["files"].update({"..": "0" * 64}), "a plain file name"),
        (lambda m: m["files"].update({"model.onnx": "short"}), "matching regex"),
        (lambda m: m.update(version="../../elsewhere"), "matching regex"),
    ],
)
def test_each_fault_of_a_manifest_has_its_own_message(
    bundle: Path, change: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    edit(bundle, change)

    with pytest.raises(BundleError, match=complaint):
        Bundle.open(bundle)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_what_is_not_json_is_not_a_manifest(bundle: Path, content: bytes) -> None:
    (bundle / MANIFEST).write_bytes(content)

    with pytest.raises(BundleError, match="is not a manifest"):
        Bundle.open(bundle)


def test_reading_a_file_anew_checks_it_anew(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    opened.verify()
    flip_a_byte(bundle / "model.onnx")

    with pytest.raises(ChecksumError):
        opened.read("model.onnx")


def test_a_bundle_can_be_moved(bundle: Path, tmp_path: Path) -> None:
    shutil.move(bundle, tmp_path / "elsewhere")

    Bundle.open(tmp_path / "elsewhere").verify()
