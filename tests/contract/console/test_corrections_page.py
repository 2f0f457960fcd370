"""The page of corrections in Chromium: undo, confirm, hostile labels, two people, and its looks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.context import Console
from domain.corrections.form import Correction, to_json
from tests.contract.console.conftest import AssertAccessible
from tests.support.builders import vocabulary as some
from tests.support.worlds.consoles import REGION, mocked_console, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LABELS = (
    "dress",
    "<img src=x onerror=alert(1)>",
    "\u202etxet",
    "x" * 900,
    "パンツ",
    "50% & “more”",
)


@pytest.fixture
def console(console_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mocked_console(console_folder) as opened:
        yield opened


def correct(console: Console, number: int, to: str | None, who: str, image: str = "") -> Correction:
    """As another console stores it, in the second `number`."""
    image = image or f"inbox/<b>{number}</b>.jpg"
    console.bucket.put(image, image)
    head = console.bucket.head(image)
    assert head is not None
    name = some.name_after(NOW.replace(second=number), f"{number:016x}")
    one = Correction(name, image, head.listed.etag, "skirt", to, who)
    console.bucket.put(one.key, to_json(one))
    return one


def fill(console: Console) -> None:
    for number, label in enumerate(LABELS):
        correct(console, number, label, "anna")
    correct(console, 20, None, "Developer/bob@example.org")
    correct(console, 21, "dress", "anna", "inbox/both.jpg")
    correct(console, 22, "coat", "bob", "inbox/both.jpg")
    correct(console, 23, "dress", "anna", "inbox/replaced.jpg")
    console.bucket.put("inbox/replaced.jpg", "another image")


def test_undo_and_confirm_on_the_page_and_in_a_second_tab(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    fill(console)
    with serve(console, "/corrections") as served:
        page.goto(served.address)
        page.get_by_role("heading", name="Two people differ").wait_for()
        other = page.context.new_page()
        other.goto(f"{served.origin}/corrections")
        other.get_by_role("heading", name="Two people differ").wait_for()
        page.get_by_role("button", name="Confirm inbox/both.jpg").first.click()
        page.get_by_role("heading", name="Two people differ").wait_for(state="detached")
        other.get_by_role("heading", name="Two people differ").wait_for(state="detached")
        row = page.get_by_role("row").filter(has_text="both.jpg")
        assert "coat" in row.inner_text()
        assert "moto" in row.inner_text(), "who confirmed"
        row.get_by_role("button", name="Undo").click()
        page.get_by_role("heading", name="Two people differ").wait_for()
        other.get_by_role("heading", name="Two people differ").wait_for()
        page.locator("#queue:empty").wait_for(state="attached")


def test_hostile_labels_and_names_are_text(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    fill(console)
    with serve(console, "/corrections") as served:
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        page.goto(served.address)
        page.get_by_text("<img src=x onerror=alert(1)>").first.wait_for()
        assert page.locator("main b").count() == 5, "only the tiles' numbers are bold"
        page.get_by_text("<img src=x onerror=alert(1)>").first.scroll_into_view_if_needed()
        for number in (*range(len(LABELS)), 20):
            page.get_by_role("button", name=f"Undo inbox/<b>{number}</b>.jpg").click()
        page.get_by_role("button", name="Undo inbox/<b>").first.wait_for(state="detached")
        assert dialogs == []


def test_nothing_serious_is_found_on_the_page(
    look_page: "Page", assert_accessible: AssertAccessible, console: Console
) -> None:
    fill(console)
    with serve(console, "/corrections") as served:
        look_page.goto(served.address)
        look_page.get_by_role("heading", name="Two people differ").wait_for()
        assert_accessible(look_page, "with all kinds of corrections")
