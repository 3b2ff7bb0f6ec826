"""The pages agree with the repository and with each other."""

import contextlib
import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_readme_leads_to_every_page() -> None:
    linked = {
        (ROOT / target).resolve() for target in LINK.findall((ROOT / "README.md").read_text())
    }
    assert set(ROOT.glob("docs/*.md")) <= linked


def test_pages_name_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"(?:`|^\$ )make ([a-z-]+)", page.read_text(), re.MULTILINE)
    }
    assert named
    assert named <= targets


def test_pages_name_only_modules_and_objects_that_exist() -> None:
    named = {
        name for page in PAGES for name in re.findall(r"`(flask_app(?:\.\w+)+)`", page.read_text())
    }
    assert named
    assert [name for name in sorted(named) if not _exists(name)] == []


def _exists(name: str) -> bool:
    with contextlib.suppress(AttributeError, ImportError):
        pkgutil.resolve_name(name)
        return True
    return False


def test_every_playbook_is_shown_and_run_by_a_test() -> None:
    operations = (ROOT / "docs/operations.md").read_text()
    tests = "".join(
        path.read_text()
        for folder in ("molecule", "tests", "drill", "demo")
        for path in (ROOT / folder).glob("**/*.py")
    )
    playbooks = [path.name for path in ROOT.glob("ansible/*.yml")]
    assert playbooks
    assert [name for name in playbooks if f"ansible-playbook {name}" not in operations] == []
    # keys, maintenance and unlock import tasks of a role, which its scenario runs.
    tasks = {"keys.yml", "maintenance.yml", "unlock.yml"}
    assert [name for name in playbooks if f'"{name}"' not in tests and name not in tasks] == []


def test_every_make_target_explains_itself() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, flags=re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):.*## \S", makefile, flags=re.MULTILINE))
    assert phony == explained


def test_every_test_that_a_page_names_exists() -> None:
    named = {
        (file, test)
        for page in PAGES
        for file, test in re.findall(r"`([\w/]+\.py)::(test_\w+)`", page.read_text())
    }
    assert named
    missing = [
        f"{file}::{test}"
        for file, test in sorted(named)
        if not (ROOT / file).exists() or f"def {test}(" not in (ROOT / file).read_text()
    ]
    assert missing == []
