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
SERIOUS = ("serious", "critical")

Judge = Callable[["Page"], list[Any]]


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
    yield opened
    opened.close()


@pytest.fixture
def page(context: "BrowserContext") -> "Page":
    """A page in which every error of a script fails the test that asks for `page_errors`."""
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


@pytest.fixture
def judge() -> Judge:
    """What axe-core finds that is serious. The page's policy is set aside for its script alone."""
    if not AXE.exists():
        pytest.skip("`make axe` installs what judges the pages")

    def run(page: "Page") -> list[Any]:
        page.evaluate(AXE.read_text() + "; window.axe = axe; undefined")
        found = page.evaluate("async () => (await axe.run()).violations")
        return [
            {"id": one["id"], "nodes": [node["html"][:200] for node in one["nodes"][:3]]}
            for one in found
            if one["impact"] in SERIOUS
        ]

    return run


def shown(found: list[Any]) -> str:
    return json.dumps(found, indent=1)


@pytest.fixture
def console_folder(tmp_path: Path) -> Path:
    return tmp_path / "console"
