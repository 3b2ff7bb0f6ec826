from dataclasses import fields
from pathlib import Path

import pytest

from flask_app.cli import main
from flask_app.simulator.market import Market

PAGE = (Path(__file__).parents[3] / "docs/simulator.md").read_text()


def test_the_page_lists_every_knob_with_default_range_and_unit() -> None:
    expected = [
        f"| `{knob.name}` | {knob.default:g} | {about['minimum']:g} .. {about['maximum']:g} "
        f"| {about['unit']} | {about['description']} |"
        for knob in fields(Market)
        for about in [knob.metadata]
    ]
    assert [line for line in PAGE.splitlines() if line.startswith("| `")] == expected


@pytest.mark.uci
def test_the_page_shows_what_its_command_prints(
    uci_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "auctions.csv")
    assert (
        main(["simulate", "--auctions", "3000", "--output", output, "--like", str(uci_path)]) == 0
    )
    printed = capsys.readouterr().out.replace(output, "auctions.csv")
    assert "\n".join(line.rstrip() for line in printed.splitlines()) in PAGE
