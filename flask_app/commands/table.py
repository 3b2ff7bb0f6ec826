"""What commands print: tables for people, JSON for programs."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

METRICS = ("ROC AUC", "average precision", "F1", "precision", "recall", "Brier")
"""Headings for the fields of `flask_app.model.bundle.CrossValidationMetrics`, in their order."""


def table(header: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """Align `rows` under `header`: text to the left, numbers to the right with five decimals."""
    lines = [list(header), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [all(_is_number(line[column]) for line in lines[1:]) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )


def print_json(rows: Sequence[Mapping[str, object]]) -> None:
    """Print `rows` as a JSON array of objects; times are RFC 3339."""
    encoded = msgspec.json.encode(rows, enc_hook=str)
    print(msgspec.json.format(encoded, indent=2).decode())


def _text(cell: str | float) -> str:
    return f"{cell:.5f}" if isinstance(cell, float) else str(cell)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
