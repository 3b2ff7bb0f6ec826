from pathlib import Path

import pytest

from flask_app.cli import main
from flask_app.data.dataset import read_csv
from flask_app.record import FEATURES
from flask_app.simulator.market import Market
from flask_app.simulator.realism import distance_table
from flask_app.simulator.simulation import simulate


def test_it_writes_what_the_function_gives_in_the_published_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    assert main(["simulate", "--auctions", "30", "--seed", "5", "--output", str(path)]) == 0
    expected = simulate(30, seed=5)
    written = read_csv(path)
    assert written.frame.equals(expected.frame)
    assert written.sha256 == expected.sha256
    assert f"{path}: {len(expected.frame)} records, " in capsys.readouterr().out


def test_knobs_are_arguments(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    knobs = ["--shills", "2.5", "--sniper-lead", "60"]
    assert main(["simulate", "--auctions", "30", "--output", str(path), *knobs]) == 0
    market = Market(shills=2.5, sniper_lead=60.0)
    assert read_csv(path).frame.equals(simulate(30, market=market).frame)


def test_like_prints_the_table_of_distances(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, path = tmp_path / "real.csv", tmp_path / "a.csv"
    arguments = ["simulate", "--auctions", "30", "--output"]
    assert main([*arguments, str(real)]) == 0
    assert main([*arguments, str(path), "--seed", "1", "--like", str(real)]) == 0
    table = distance_table(simulate(30, seed=1).frame, simulate(30).frame)
    out = capsys.readouterr().out
    for name in FEATURES:
        assert f"{name} " in out
        assert f"{table.loc[name, 'shill']:.3f}" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--shills", "9"], "error: shills=9.0 is outside 0 .. 4"),
        (["--auctions", "0"], "error: auctions=0, seed=0: give at least 1"),
        (["--like", "nowhere.csv"], "error: nowhere.csv: No such file or directory"),
    ],
)
def test_a_bad_argument_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(["simulate", "--output", str(tmp_path / "a.csv"), *arguments]) == 1
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a.csv"
    assert main(["simulate", "--auctions", "30", "--output", str(path)]) == 1
    assert f"error: {path} cannot be written" in capsys.readouterr().err


def test_something_has_to_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate"]) == 1
    assert "neither --output nor --bids is given" in capsys.readouterr().err
