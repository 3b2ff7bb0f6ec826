"""Tables that a command writes into pages, each below a line that says so and above <!-- end -->.

The line: `<!-- NAME: COMMAND writes this table -->`.
"""

import re
from pathlib import Path


def _place(name: str) -> re.Pattern[str]:
    return re.compile(
        rf"(<!-- {name}: [^\n]+ writes this table -->\n)(.*?)(?=<!-- end -->)", re.DOTALL
    )


def read(page: Path, name: str) -> str:
    """Return the table of that name as the page has it."""
    found = _place(name).search(page.read_text())
    assert found, f"{page} has no place for the table {name}"
    return found[2]


def write(page: Path, name: str, table: str) -> None:
    """Put a table in the place of the page's of that name."""
    page.write_text(_place(name).sub(lambda found: found[1] + table, page.read_text(), count=1))
