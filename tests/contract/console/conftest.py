"""A real Chromium before a real console, whose S3 is moto's."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.shipped import REPOSITORY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = REPOSITORY / ".local" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light"},
    "dark phone": {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
}
WAIT_MS = 90_000
"""For what a page waits, on a machine that does other things too."""

SERIOUS = ("serious", "critical")

AssertAccessible = Callable[["Page", str], None]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Not for the session: Playwright holds this thread's event loop, which other tests use."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def context(browser: "Browser") -> Iterator["BrowserContext"]:
    opened = browser.new_context(**LOOKS["light"])
    opened.set_default_timeout(WAIT_MS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: "BrowserContext") -> "Page":
    """A page; with `page_errors`, every error of its scripts fails the test."""
    return context.new_page()


@pytest.fixture
def page_errors(page: "Page") -> Iterator[list[str]]:
    """What goes wrong in scripts, and what the policy stops; there must be nothing at the end."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None,
    )
    yield errors
    assert errors == []


@pytest.fixture(params=LOOKS)
def look_page(browser: "Browser", request: pytest.FixtureRequest) -> Iterator["Page"]:
    """A page in each of the looks."""
    opened = browser.new_context(**LOOKS[request.param])
    opened.set_default_timeout(WAIT_MS)
    yield opened.new_page()
    opened.close()


@pytest.fixture
def assert_accessible() -> AssertAccessible:
    """Fails for what axe-core finds serious, and for a page that is wider than the screen.

    The second argument names the state of the page. Its policy is set aside for axe-core alone.
    """
    if not AXE.exists():
        pytest.skip("`make axe` installs axe-core")

    def inspect(page: "Page", state: str) -> None:
        page.evaluate(AXE.read_text() + "; window.axe = axe; undefined")
        serious = [
            {"id": one["id"], "nodes": [node["html"][:200] for node in one["nodes"][:3]]}
            for one in page.evaluate("async () => (await axe.run()).violations")
            if one["impact"] in SERIOUS
        ]
        assert not serious, f"{state}: {json.dumps(serious, indent=1)}"
        is_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not is_wide, f"{state}: the page itself scrolls sideways"

    return inspect


@pytest.fixture
def console_folder(tmp_path: Path) -> Path:
    return tmp_path / "console"
