"""A role's variables are told in three places, which must agree: defaults, specification, README.

`python -m tests.unit.test_roles` writes the READMEs' tables anew.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import tables

ROLES = sorted(Path(__file__).parents[2].glob("roles/*/"))
TYPES = {
    "str": str,
    "path": str,
    "bool": bool,
    "int": int,
    "float": float,
    "list": list,
    "dict": dict,
}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def options(role: Path) -> dict[str, dict[str, Any]]:
    specification: dict[str, Any] = load(role / "meta/argument_specs.yml")["argument_specs"]
    return specification["main"]["options"]  # type: ignore[no-any-return]


def table(role: Path) -> str:
    """The README's table of variables."""
    rows = ["| Variable | Default | |", "|---|---|---|"]
    for name, option in options(role).items():
        default = yaml.safe_dump(option["default"], default_flow_style=True, width=1000)
        choices = (
            f" One of {', '.join(map(str, option['choices']))}." if "choices" in option else ""
        )
        shown = default.removesuffix("...\n").strip()
        rows.append(f"| `{name}` | `{shown}` | {option['description'].strip()}{choices} |")
    return "\n".join(rows) + "\n"


def test_there_are_roles() -> None:
    assert ROLES


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
class TestRole:
    def test_specification_and_defaults_agree(self, role: Path) -> None:
        specified = {name: option["default"] for name, option in options(role).items()}
        assert specified == load(role / "defaults/main.yml")

    def test_each_variable_carries_the_role_s_name(self, role: Path) -> None:
        assert [name for name in options(role) if not name.startswith(f"{role.name}_")] == []

    def test_each_variable_is_typed_and_described(self, role: Path) -> None:
        for name, option in options(role).items():
            default = option["default"]
            is_template = isinstance(default, str) and default.startswith("{{")
            assert isinstance(default, TYPES[option["type"]]) or is_template, name
            assert option["description"].strip().endswith("."), name
            assert option["type"] != "list" or "elements" in option, name

    def test_secrets_are_kept_out_of_logs(self, role: Path) -> None:
        for name, option in options(role).items():
            if re.search(r"password|secret|token", name):
                assert option.get("no_log"), name

    def test_the_readme_tells_each_variable(self, role: Path) -> None:
        told = tables.read(role / "README.md", "variables")
        assert told == table(role), "run python -m tests.unit.test_roles"


def calls(role: Path, part: str) -> bool:
    """Whether `role` imports the tasks of the role `part`."""
    return any(f"name: {part}\n" in path.read_text() for path in role.glob("tasks/*.yml"))


def test_who_schedules_a_container_leaves_nothing_to_other_roles_of_the_play() -> None:
    """One role's vars/main.yml are seen by all roles of the play, and win over defaults."""
    wanted = set(options(ROLES[0].parent / "scheduled_container"))
    callers = [role for role in ROLES if calls(role, "scheduled_container")]
    assert {role.name for role in callers} == {"evidently_cron", "prediction_archive"}
    for role in callers:
        given = {name for name in load(role / "vars/main.yml") if name in wanted}
        assert given == wanted, role.name


if __name__ == "__main__":
    for role in ROLES:
        tables.write(role / "README.md", "variables", table(role))
