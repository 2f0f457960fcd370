"""The console's frame in Chromium: one is let in once, and other pages are kept out."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.console.conftest import AssertAccessible
from tests.support.worlds.consoles import BUCKET, mocked_console, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.slow


def test_the_printed_address_lets_one_in_and_a_second_tab_needs_none(
    page: "Page", page_errors: list[str], console_folder: Path
) -> None:
    with mocked_console(console_folder) as console, serve(console, "/nowhere") as served:
        answer = page.goto(served.address)
        assert answer is not None
        assert answer.status == 404
        assert "token" not in page.url, "an address that is copied lets nobody in"
        assert page.get_by_role("heading").inner_text() == "Not Found"
        tab = page.context.new_page()
        second = tab.goto(f"{served.origin}/nowhere")
        assert second is not None
        assert second.status == 404


def test_another_browser_is_kept_out(
    browser: "Browser", page: "Page", console_folder: Path
) -> None:
    with mocked_console(console_folder) as console, serve(console) as served:
        console.bucket.client.put_object(Bucket=BUCKET, Key="inbox/a.jpg", Body=b"secret")
        page.goto(served.address)
        stranger = browser.new_context().new_page()
        answer = stranger.goto(f"{served.origin}/reports/inbox/a.jpg")
        assert answer is not None
        assert answer.status == 403
        assert "secret" not in stranger.content()
        stranger.context.close()


def test_a_page_of_another_site_reads_nothing_with_the_cookie(
    page: "Page", console_folder: Path
) -> None:
    """Cookies are of a host and not of a port: the browser sends it also for that page."""
    site = "http://127.0.0.1:8999/"
    with mocked_console(console_folder) as console, serve(console, "/nowhere") as served:
        console.bucket.client.put_object(Bucket=BUCKET, Key="inbox/a.jpg", Body=b"secret")
        image = f"{served.origin}/reports/inbox/a.jpg"
        page.goto(served.address)
        assert page.context.request.get(image).body() == b"secret", "the cookie is there"
        page.route(site, lambda route: route.fulfill(content_type="text/html", body="evil"))
        page.goto(site)
        fetch = "url => fetch(url, { credentials: 'include' }).then(() => 'read', () => 'refused')"
        assert page.evaluate(fetch, image) == "refused"
        with page.expect_navigation() as navigation:
            page.evaluate("url => { location.href = url; }", image)
        answer = navigation.value
        assert answer is not None
        assert "sortbox-" in answer.request.all_headers()["cookie"]
        assert answer.status == 403
        assert "secret" not in page.content()


def test_a_page_hears_events_and_says_when_the_console_has_ended(
    page: "Page", page_errors: list[str], console_folder: Path
) -> None:
    with mocked_console(console_folder) as console:
        trouble = page.locator("#trouble")
        with serve(console, "/nowhere") as served:
            with page.expect_response("**/events"):
                page.goto(served.address)
            assert trouble.is_hidden()
            console.bucket.client.delete_bucket(Bucket=BUCKET)
            trouble.filter(has_text="AWS refused").wait_for()
        trouble.filter(has_text="does not answer").wait_for()
        assert trouble.locator("code").inner_text() == "./sortbox console", "and no backticks"


def test_tabs_that_nobody_sees_leave_the_connections_to_those_that_are_seen(
    context: "BrowserContext", console_folder: Path
) -> None:
    """A browser has six to one address, and a page that listens holds one."""
    hide = (
        "Object.defineProperty(document, 'hidden', { get: () => window.unseen });"
        "window.unseen = true"
    )
    with mocked_console(console_folder) as console, serve(console, "/nowhere") as served:
        first = context.new_page()
        first.goto(served.address)
        tabs = []
        for _ in range(6):
            tab = context.new_page()
            tab.add_init_script(hide)
            tab.goto(f"{served.origin}/nowhere")
            tabs.append(tab)
        with tabs[0].expect_request("**/events"):
            tabs[0].evaluate(
                "window.unseen = false; document.dispatchEvent(new Event('visibilitychange'))"
            )


def test_a_console_ends_without_a_complaint_while_a_page_listens(
    page: "Page", console_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        mocked_console(console_folder) as console,
        serve(console, "/nowhere") as served,
        page.expect_response("**/events"),
    ):
        page.goto(served.address)
    assert "Error" not in capfd.readouterr().err, "a person who presses Ctrl-C reads it"


def test_nothing_serious_is_found_in_the_frame(
    look_page: "Page", assert_accessible: AssertAccessible, console_folder: Path
) -> None:
    with mocked_console(console_folder) as console, serve(console, "/nowhere") as served:
        look_page.goto(served.address)
        assert_accessible(look_page, "no such page")
