"""What the rows of the tables have to keep, in SQL that DuckDB and Spark both take.

And how an error tells that they do not, whichever engine finds it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flask_app.bids.tables import AUCTIONS, BIDS, MAX_AMOUNT, MAX_DURATION, Column
from flask_app.errors import DataError
from flask_app.record import MAX_IDENTIFIER

RFC_3339 = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
"""A time that is written."""
MAX_FAULTS = 10
"""Most faults that an error lists."""
MAX_SHOWN = 60
"""Longest excerpt of a value in an error, characters."""


class Rule(NamedTuple):
    """What makes a row unusable.

    Attributes:
        column: Where the fault is.
        fault: SQL that is true for it.
        what: What is wrong with the value.
        remedy: What to do.
    """

    column: str
    fault: str
    what: str
    remedy: str


def column_rules(column: Column, now: int) -> list[Rule]:
    """Return what a column's values have to keep."""
    name = column.name
    match column.type:
        case "identifier":
            missing = f"{name} IS NULL OR " if column.required else ""
            fault = f"{missing}length({name}) NOT BETWEEN 1 AND {MAX_IDENTIFIER}"
            what = f"does not have 1 to {MAX_IDENTIFIER} characters"
            return [Rule(name, fault, what, "give each row one that has")]
        case "amount":
            right = f"{name} > 0 AND {name} <= {MAX_AMOUNT:.0f}"
            what = f"is no number above 0 and up to {MAX_AMOUNT:g}"
            remedy = "write an amount of money, with a point"
            return [Rule(name, f"NOT coalesce({right}, false)", what, remedy)]
        case "time":
            what, remedy = "is no time with its zone", "write it as 2026-11-23T12:00:00Z"
            rules = [Rule(name, f"{name} IS NULL", what, remedy)]
            if name != "closes_at":
                what, remedy = "is in the future", "correct it, or this machine's clock"
                rules.append(Rule(name, f"{name} > {now}", what, remedy))
            return rules


TABLE_RULES = {
    AUCTIONS.name: (
        Rule(
            "closes_at",
            f"NOT coalesce(closes_at - opened_at BETWEEN 1 AND {MAX_DURATION}, true)",
            "is not within 366 days after opened_at",
            "correct either",
        ),
    ),
    BIDS.name: (),
}
"""What a row has to keep beyond what each column has to."""
BID_RULES = (
    Rule(
        "auction_id",
        "known IS NULL",
        "is no auction of those given",
        "add it to them, or leave its bids out",
    ),
    Rule(
        "placed_at",
        "NOT coalesce(placed_at BETWEEN opened_at AND closes_at, true)",
        "is outside its auction, from opened_at to closes_at",
        "correct any of the three",
    ),
)


def column_missing(where: str, column: Column, there: Iterable[str]) -> DataError:
    """Return the error for a column that is not `there`."""
    return DataError(
        f"{where}: no column {column.name}, its columns are {', '.join(there)}: add it"
    )


def type_wrong(where: str, column: Column, kind: str) -> DataError:
    """Return the error for a column whose type, `kind`, cannot hold its values."""
    wanted = "a time with its zone" if column.type == "time" else f"an {column.type}"
    return DataError(
        f"{where}, {column.name}: {kind} is no type of {wanted}: write the column anew"
    )


def fault(place: str, rule: Rule, value: str | None) -> str:
    """Tell of a value that breaks a rule; None: there is none."""
    what = "missing" if value is None else f"{excerpt(value)} {rule.what}"
    return f"{place}, {rule.column}: {what}: {rule.remedy}"


def faults(found: Sequence[str], count: int) -> DataError:
    """Return the error for `count` faults, of which the first were `found`."""
    shown = found[:MAX_FAULTS]
    more = [f"and {count - len(shown):,} more"] if count > len(shown) else []
    return DataError("\n".join([*shown, *more]))


def excerpt(value: str) -> str:
    """Show a value in an error."""
    return repr(value) if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]!r}..."
