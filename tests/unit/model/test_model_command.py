import json
from pathlib import Path

import pytest

from flask_app.cli import main
from flask_app.model.stores import ModelStore
from tests.unit.model.stores import Backend


@pytest.fixture
def store(
    backend: Backend, tmp_path: Path, pristine: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> ModelStore:
    """A store of two versions, the second in production after the first."""
    monkeypatch.setenv("SHILL_MODEL_STORE", backend.setting)
    monkeypatch.setenv("SHILL_MODEL_CACHE", str(tmp_path / "cache"))
    store = backend.open()
    for bundle in pristine[:2]:
        store.promote(store.publish(bundle))
    return store


@pytest.fixture
def versions(pristine: tuple[Path, ...]) -> list[str]:
    return [bundle.name for bundle in pristine]


def damage(backend: Backend, version: str, name: str = "model.onnx") -> None:
    backend.write(f"{version}/{name}", backend.read(f"{version}/{name}")[:-2])


def test_list_marks_what_is_in_production(
    store: ModelStore, versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "list"]) == 0

    marked = [line for line in capsys.readouterr().out.splitlines() if line.startswith("*")]
    assert [line.split()[1] for line in marked] == [versions[1]]
    assert len(store.versions()) == 2


def test_list_gives_programs_json(
    store: ModelStore, versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "list", "--json"]) == 0

    listed = json.loads(capsys.readouterr().out)
    assert [item["version"] for item in listed] == sorted(store.versions())
    assert [item["version"] for item in listed if item["production"]] == [versions[1]]
    assert listed[0]["f1"] == store.manifest(listed[0]["version"]).metrics.f1


@pytest.mark.usefixtures("store")
def test_list_tells_what_is_damaged_beside_what_is_not(
    backend: Backend, versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(backend, versions[0], "manifest.json")

    assert main(["model", "list"]) == 1

    out, err = capsys.readouterr()
    assert versions[1] in out
    assert f"{versions[0]} is damaged" in err


def test_path_is_that_of_production_or_of_a_version(
    store: ModelStore, versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "path"]) == 0
    assert main(["model", "path", versions[0]]) == 0

    expected = [str(store.fetch(versions[1])), str(store.fetch(versions[0]))]
    assert capsys.readouterr().out.splitlines() == expected


def test_publish_prints_the_version(
    store: ModelStore, pristine: tuple[Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "publish", str(pristine[2])]) == 0

    assert capsys.readouterr().out.strip() == pristine[2].name
    assert pristine[2].name in store.versions()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("named", ["production", "version"])
def test_verify_takes_production_or_a_version(
    backend: Backend, versions: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"production": [], "version": [versions[1]]}[named]

    assert main(["model", "verify", *arguments]) == 0
    assert "4 files and 20 golden rows are as published" in capsys.readouterr().out

    damage(backend, versions[1])
    assert main(["model", "verify", *arguments]) == 1
    assert "model.onnx has sha256" in capsys.readouterr().err


def test_verify_takes_a_directory(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "verify", str(bundle)]) == 0
    assert "files and 20 golden rows are as published" in capsys.readouterr().out

    (bundle / "model.onnx").write_bytes(b"damaged")
    assert main(["model", "verify", str(bundle)]) == 1
    assert "model.onnx has sha256" in capsys.readouterr().err


def test_verify_notices_a_manifest_that_is_not_the_promoted_one(
    backend: Backend, store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    pointer = store.production()
    assert pointer is not None
    manifest = f"{pointer.version}/manifest.json"
    backend.write(manifest, backend.read(manifest) + b"\n")

    assert main(["model", "verify"]) == 1
    assert "manifest.json has sha256" in capsys.readouterr().err


def test_a_damaged_version_is_promoted_only_unverified(
    backend: Backend, store: ModelStore, versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(backend, versions[0])
    before = store.production()

    assert main(["model", "promote", versions[0]]) == 1
    assert store.production() == before
    assert "model.onnx has sha256" in capsys.readouterr().err

    assert main(["model", "promote", versions[0], "--unverified"]) == 0
    after = store.production()
    assert after is not None
    assert (after.version, after.previous) == (versions[0], versions[1])


def test_a_rollback_verifies_where_it_goes(
    backend: Backend, store: ModelStore, versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(backend, versions[0])
    before = store.production()

    assert main(["model", "rollback"]) == 1
    assert store.production() == before

    assert main(["model", "rollback", "--unverified"]) == 0
    assert capsys.readouterr().out.strip() == versions[0]

    assert main(["model", "rollback", "--unverified"]) == 1
    assert "no previous version" in capsys.readouterr().err


def test_an_unknown_version_is_told_with_those_there_are(
    store: ModelStore, versions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "promote", "absent-000000000000"]) == 1

    err = capsys.readouterr().err
    assert "holds no version 'absent-000000000000'" in err
    assert versions[0] in err
    assert store.versions() == tuple(sorted(versions[:2]))
