from pathlib import Path

import pytest

from flask_app.data import uci
from flask_app.data.dataset import to_csv
from flask_app.errors import DataError
from flask_app.settings import Settings
from flask_app.simulator.simulation import simulate
from flask_app.training import source


@pytest.fixture
def csv_path(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    path.write_bytes(to_csv(simulate(20).frame))
    return path


def test_the_named_file_comes_first(
    csv_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(uci, "fetch", lambda _: pytest.fail("a named file needs no download"))
    dataset = source.load(Settings(dataset=str(csv_path)))
    assert dataset.name == "custom"
    said = capsys.readouterr().err
    assert said.startswith(f"dataset custom: {len(dataset.frame)} records of 20 auctions, ")
    assert said.endswith(f"% shill (SHILL_DATASET={csv_path})\n")


def test_a_named_file_that_is_absent_is_an_error_and_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv: No such file"):
        source.load(Settings(dataset=str(tmp_path / "absent.csv")))


def test_uci_comes_next(
    csv_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(uci, "fetch", lambda cache: asked.append(cache) or csv_path)
    source.load(Settings(cache_dir=csv_path.parent))
    assert asked == [csv_path.parent]
    assert f"(SHILL_DATASET is not set; {csv_path})" in capsys.readouterr().err


def test_simulated_auctions_stand_in_where_uci_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(_: Path) -> Path:
        raise ConnectionError("https://uci.example/data.zip: no route")

    monkeypatch.setattr(uci, "fetch", unreachable)
    dataset = source.load(Settings())
    assert dataset.sha256 == simulate().sha256
    said = capsys.readouterr().err
    assert said.startswith("dataset simulated: ")
    assert "UCI cannot be reached: https://uci.example/data.zip: no route" in said


def test_wrong_data_from_uci_is_an_error_and_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def tampered(_: Path) -> Path:
        raise DataError("sha256 is wrong")

    monkeypatch.setattr(uci, "fetch", tampered)
    with pytest.raises(DataError, match="sha256 is wrong"):
        source.load(Settings())
