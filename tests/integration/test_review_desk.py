"""The review desk in a real browser: by mouse, by key and without JavaScript, on every screen.

`python -m tests.integration.test_review_desk` draws the pictures of docs/review.md anew.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from flask_app.cli import main
from flask_app.log.lines import LoggedLabel
from flask_app.model.bundle import Bundle
from flask_app.store.directory_store import DirectoryStore
from tests.bundles import make_bundle
from tests.integration.server import Server, free_port, wait_until
from tests.traffic import LogReader

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs/images"
WIDE, PHONE = (1200, 800), (390, 800)
PAGES = ("/", "/auctions", "/?drawn=1", "/quality", "/?band=all&state=all&page=2", "/nowhere")


def find_browser() -> str | None:
    """Return Chromium, from Debian if it has to be installed, None where it cannot be had."""
    known = ("chromium", "google-chrome")
    if not any(map(shutil.which, known)) and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "--quiet=2", "--yes", "--no-install-recommends"]
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "update", "--quiet=2"], [*install, "chromium"]):
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return next(filter(None, map(shutil.which, known)), None)


class Desk(Server):
    """A desk that can be started, over simulated auctions scored by a small model."""

    command = (sys.executable, "-m", "flask_app", "review")

    def __init__(self, directory: Path, bundle: Path) -> None:
        port = free_port()
        super().__init__(
            directory,
            port,
            archive=directory / "archive",
            review_bind=f"127.0.0.1:{port}",
            review_auctions=directory / "site/auctions.csv",
            review_bids=directory / "site/bids.csv",
            review_sample=0.2,
        )
        self.store.promote(self.store.publish(bundle))
        tables = [f"--{name}={directory / 'site' / name}.csv" for name in ("auctions", "bids")]
        assert main(["simulate", "--auctions=60", f"--bids={directory / 'site'}"]) == 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHILL_MODEL_STORE", str(self.store.path))
            output = f"--output={directory / 'archive/predictions'}"
            assert main(["score", *tables, output, "--no-reasons"]) == 0

    def start(self) -> None:
        """Start, and wait until there is something to show."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=output, stderr=output
            )
        wait_until(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return self.get("/ready").status == 200
        except OSError:
            return False

    @property
    def labels(self) -> list[LoggedLabel]:
        """What was decided."""
        return list(LogReader(self.log_dir / "labels", LoggedLabel))


@contextmanager
def opened(bundle: Path) -> Iterator[Desk]:
    """Run a desk."""
    with tempfile.TemporaryDirectory() as directory:
        desk = Desk(Path(directory), bundle)
        desk.start()
        try:
            yield desk
        finally:
            desk.stop()


@contextmanager
def browsing() -> Iterator[Browser]:
    """Run a browser, or skip the test where there is none."""
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium on this machine: install it to look at the review desk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--no-proxy-server"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def desk(bundles: tuple[Path, Path]) -> Iterator[Desk]:
    with opened(bundles[0]) as desk:
        yield desk


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


def show(browser: Browser, size: tuple[int, int] = WIDE, **options: Any) -> Page:
    """Open a tab of its own."""
    viewport = {"width": size[0], "height": size[1]}
    return browser.new_context(viewport=viewport, **options).new_page()  # type: ignore[arg-type]


def open_first(page: Page, desk: Desk) -> str:
    """Go from the queue to its first bidder; returns who it is."""
    page.goto(desk.url)
    first = page.locator("tbody a").first
    bidder = first.inner_text()
    first.click()
    return bidder


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits_the_screen(
    desk: Desk, browser: Browser, size: tuple[int, int], scheme: str
) -> None:
    page = show(browser, size, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    checked = Axe()
    for path in (*PAGES, "an auction"):
        if path == "an auction":
            open_first(page, desk)
        else:
            page.goto(desk.url + path)
        found = checked.run(page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path
    assert [text for text in said if "404" not in text] == []


def test_a_reviewer_decides_by_key_and_takes_it_back(desk: Desk, browser: Browser) -> None:
    page = show(browser)
    before = len(desk.labels)
    bidder = open_first(page, desk)
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("heading", level=1).click()  # out of the field, or the key is a letter in it
    page.keyboard.press("s")
    notice = page.get_by_role("status")
    notice.wait_for()
    assert f"Recorded: {bidder} in auction" in notice.inner_text()
    (line,) = desk.labels[before:]
    assert (line.is_shill, line.reviewer) == (True, "Ada")
    page.keyboard.press("u")
    page.get_by_text("is open again").wait_for()
    assert desk.labels[-1].is_shill is None
    assert page.get_by_label("Your name").input_value() == "Ada"


def test_keys_are_letters_while_somebody_types(desk: Desk, browser: Browser) -> None:
    page = show(browser)
    before = len(desk.labels)
    open_first(page, desk)
    page.get_by_label("Comment").press_sequentially("shh")
    assert page.get_by_label("Comment").input_value() == "shh"
    assert len(desk.labels) == before


def test_everything_but_keys_works_without_javascript(desk: Desk, browser: Browser) -> None:
    page = show(browser, java_script_enabled=False)
    before = len(desk.labels)
    bidder = open_first(page, desk)
    page.get_by_label("Your name").fill("Grace")
    page.get_by_label("Comment").fill("a regular customer")
    page.get_by_role("button", name="Honest").click()
    assert f"Recorded: {bidder}" in page.get_by_role("status").inner_text()
    line = desk.labels[before]
    assert (line.is_shill, line.comment) == (False, "a regular customer")
    page.get_by_role("button", name="Undo").click()
    assert "is open again" in page.get_by_role("status").inner_text()
    page.goto(desk.url)
    page.get_by_label("Auction or bidder begins with").fill(bidder)
    page.get_by_role("button", name="Show").click()
    assert page.locator("tbody a").first.inner_text().startswith(bidder)


def test_nobody_decides_without_a_name(desk: Desk, browser: Browser) -> None:
    page = show(browser)
    before = len(desk.labels)
    open_first(page, desk)
    page.get_by_role("button", name="Skip").click()
    assert "required" in page.locator("[name=reviewer]:invalid").evaluate("e => e.outerHTML")
    assert len(desk.labels) == before


def draw() -> None:
    """Draw the pictures of the page."""
    with tempfile.TemporaryDirectory() as place:
        bundle = make_bundle(Path(place))
        if len(sys.argv) > 1:  # a model that knows what it does looks better
            store = DirectoryStore(Path(sys.argv[1]), Bundle)
            pointer = store.production()
            assert pointer
            bundle = store.fetch(pointer.version)
        with opened(bundle) as desk, browsing() as browser:
            for name, size, scheme in (
                ("review-desk", (1000, 900), "light"),
                ("review-desk-dark", (1000, 900), "dark"),
            ):
                page = show(browser, size, color_scheme=scheme)
                page.goto(desk.url)
                page.locator("tbody a").nth(0).click()
                page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    draw()
