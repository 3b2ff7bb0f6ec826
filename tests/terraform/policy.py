"""What IAM would say: enough of its rules for the policies of terraform/.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Statement = Mapping[str, Any]
Context = Mapping[str, str]


def matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: any text and any character."""
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text))


def equals(pattern: str, text: str) -> bool:
    return pattern == text


def below(pattern: str, text: str) -> bool:
    return float(text) < float(pattern)


# How a value of the context is compared with each of the condition's, and whether none may match.
OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "ArnLike": (matches, False),
    "ArnNotEquals": (matches, True),
    "Bool": (equals, False),
    # Of a context with a single value.
    "ForAllValues:StringEquals": (equals, False),
    "ForAllValues:StringLike": (matches, False),
    "NumericLessThan": (below, False),
    "StringEquals": (equals, False),
    "StringLike": (matches, False),
}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def holds(condition: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether each operator holds for each key; what the context lacks matches nothing."""
    for operator, keys in condition.items():
        if operator == "Null":
            if any((key in context) == (absent == "true") for key, absent in keys.items()):
                return False
            continue
        compare, negated = OPERATORS[operator]
        for key, patterns in keys.items():
            present = key in context
            found = present and any(compare(x, context[key]) for x in listed(patterns))
            if found == negated:
                return False
    return True


def applies(statement: Statement, action: str, resource: str, context: Context) -> bool:
    assert statement.keys() <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    return (
        any(matches(x.lower(), action.lower()) for x in listed(statement["Action"]))
        and any(matches(x, resource) for x in listed(statement["Resource"]))
        and holds(statement.get("Condition", {}), context)
    )


def allowed(
    statements: Iterable[Statement], action: str, resource: str, context: Context | None = None
) -> bool:
    """Whether a statement allows it and none denies it."""
    found = {x["Effect"] for x in statements if applies(x, action, resource, context or {})}
    return found == {"Allow"}
