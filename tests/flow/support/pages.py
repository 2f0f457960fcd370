"""What a person does on pages of the console, and waits for."""

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

ACTION_SECONDS = 150.0
"""For a command that trains, promotes or reclassifies, on a machine that does other things too."""


def go(page: "Page", path: str) -> None:
    page.goto(re.sub(r"(://[^/]+).*", rf"\1{path}", page.url))


def confirm(page: "Page", button: str) -> None:
    """Agree to what the dialog shows; afterwards the panel is of what has been started."""
    dialog = page.get_by_role("dialog")
    assert "./sortbox " in dialog.inner_text(), "the command is shown before it runs"
    dialog.get_by_role("button", name=button, exact=True).click()
    dialog.wait_for(state="hidden")


def train(page: "Page", data: str, *, with_corrections: bool, **values: str) -> None:
    """By the form of the page of training, to its start. Other tests leave corrections too."""
    go(page, "/train")
    page.get_by_label("A folder on this machine, or s3://…").fill(data)
    page.get_by_label("Join the corrections to the data.").set_checked(with_corrections)
    for name, value in values.items():
        page.get_by_label(name.replace("_", "-"), exact=True).fill(value)
    page.get_by_role("button", name="Train …").click()
    confirm(page, "Train")


def wait_for_end(page: "Page") -> tuple[str, str]:
    """How the panel's action ends, in words, and its lines. The panel is of it since `confirm`."""
    state, log = page.locator("#action-state"), page.locator("#action-log")
    deadline = time.monotonic() + ACTION_SECONDS
    while state.inner_text().startswith("running"):
        assert time.monotonic() < deadline, page.locator("#action").inner_text()
        page.wait_for_timeout(300)
    log.filter(has_text="./sortbox").wait_for()
    return state.inner_text(), log.inner_text()


def wait_for_done(page: "Page") -> str:
    """The lines of the panel's action, which ends with success."""
    state, lines = wait_for_end(page)
    assert state == "done", lines
    return lines
