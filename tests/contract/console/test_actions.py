"""Buttons in Chromium: what runs is shown before and while it runs, in every tab, and can be
stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from console.actions.routes import describe, runner_of
from console.actions.verbs import Order
from console.context import Console
from infra.local.account import STAGE
from infra.stage import Stage
from tests.contract.console.conftest import AssertAccessible
from tests.support.consoles.actions import (
    FOLLOW_LOGS,
    LINE,
    ended,
    make_stopped_cloud,
    wait_for_end,
)
from tests.support.consoles.operated import JOB, log_epochs, operated_console
from tests.support.worlds.consoles import Served, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.slow

PATHS = {
    "/train": "#train",
    f"/train?job={JOB}": "#curves polyline",
    "/models": "#active",
    "/operate": "#action-log:not(:empty)",
    "/actions": "main td",
}
"""Of each page, something that is there when it is complete."""

LONG = Order("doctor", "Check the stage", (FOLLOW_LOGS,), is_exclusive=True)
SHORT = Order("doctor", "The one before", (("logs",),), is_exclusive=False)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a local cloud that is down: commands end at once, and say so."""
    return make_stopped_cloud(tmp_path / "cloud", monkeypatch)


@contextmanager
def operated(
    folder: Path, path: str, stage: Stage | None = None
) -> Iterator[tuple[Console, Served]]:
    """`stage` is that of the commands, where a test starts one: they are processes of their own,
    which would look for moto's stage on AWS."""
    with (
        operated_console(folder) as mocked,
        ended(runner_of(mocked)),
        serve(console := replace(mocked, stage=stage or mocked.stage), path) as served,
    ):
        yield console, served


def test_the_command_is_shown_first_and_its_end_is_said(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    with operated(console_folder, "/operate", STAGE) as (console, served):
        page.goto(served.address)
        page.get_by_role("button", name="Check the stage").click()
        dialog = page.get_by_role("dialog")
        assert "./sortbox doctor --stage=local" in dialog.inner_text()
        dialog.get_by_role("button", name="Cancel").click()
        assert runner_of(console).actions() == []
        page.get_by_role("button", name="Check the stage").click()
        dialog.get_by_role("button", name="Check").click()
        page.locator("#action-state", has_text="failed").wait_for()
        sentence = "There is no local cloud yet. Run `./sortbox up` first."
        page.locator("#action-log", has_text=sentence).wait_for()


def tab_to(page: "Page", name: str) -> None:
    """Press Tab until the element of this name or text has the focus, as a person does."""
    focused = """() => { const one = document.activeElement;
      return one?.labels?.[0]?.textContent || one?.textContent || ""; }"""
    for _ in range(80):
        if page.evaluate(focused).strip() == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {name!r}")


def test_training_starts_by_keyboard_alone_and_a_refusal_says_what_to_do(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    with operated(console_folder, "/train", STAGE) as (console, served):
        page.goto(served.address)
        page.wait_for_load_state("networkidle")
        tab_to(page, "A folder on this machine, or s3://…")
        page.keyboard.press("Control+a")
        page.keyboard.type(str(tmp_path / "photos"))
        tab_to(page, "Train …")
        page.keyboard.press("Enter")
        page.get_by_role("dialog").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="hidden")
        assert runner_of(console).actions() == [], "Escape cancels"
        tab_to(page, "Train …")
        page.keyboard.press("Enter")
        page.get_by_role("dialog").wait_for()
        tab_to(page, "Train")
        page.keyboard.press("Enter")
        page.locator("#action-state", has_text="failed").wait_for()
        page.locator("#action-log", has_text="Run `./sortbox up` first.").wait_for()


def test_lines_come_live_into_every_tab_and_stop_is_ctrl_c(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    with operated(console_folder, "/operate") as (console, served):
        action = runner_of(console).start(LONG)
        page.goto(served.address)
        second = page.context.new_page()
        second.goto(f"{served.origin}/actions?id={action.id}")
        for tab in (page, second):
            tab.locator("#action-log", has_text=LINE).wait_for()
        with log.open("a") as file:
            file.write("another line\n")
        for tab in (page, second):
            tab.locator("#action-log", has_text="another line").wait_for()
        page.reload()
        page.locator("#action-log", has_text="another line").wait_for()
        assert page.locator("#action-log").inner_text().count("another line") == 1
        page.get_by_role("button", name="Stop").click()
        for tab in (page, second):
            tab.locator("#action-state", has_text="interrupted").wait_for()


def test_a_training_that_is_stopped_links_its_job_which_goes_on(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    with operated(console_folder, "/train") as (console, served):
        order = Order("train", "Train on photos", (FOLLOW_LOGS,), is_exclusive=True)
        runner_of(console).start(order)
        page.goto(served.address)
        page.locator("#action-log", has_text=LINE).wait_for()
        with log.open("a") as file:
            file.write("job: sortbox-dev-photos-1\n")
        page.locator("#action-log", has_text="job: sortbox-dev-photos-1").wait_for()
        page.get_by_role("button", name="Stop", exact=True).click()
        link = page.get_by_role("link", name="The job goes on: watch or stop it")
        link.wait_for()
        assert link.get_attribute("href") == "/train?job=sortbox-dev-photos-1"


def test_a_second_action_is_refused_in_the_dialog_by_the_name_of_the_first(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    with operated(console_folder, "/models") as (console, served):
        runner_of(console).start(replace(LONG, title="Train on photos"))
        page.goto(served.address)
        page.get_by_role("button", name="Roll back to dogs:1").click()
        dialog = page.get_by_role("dialog")
        assert "dogs:1 becomes active again, in place of dogs:2" in dialog.inner_text()
        assert "an hour" in dialog.inner_text(), "the endpoint's price"
        dialog.get_by_role("button", name="Roll back").click()
        dialog.get_by_role("alert").filter(has_text="Train on photos is running").wait_for()


def test_the_panel_is_of_the_new_action_when_the_dialog_closes(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    """Also where the page has still been reading an earlier one."""
    with operated(console_folder, "/operate", STAGE) as (console, served):
        earlier = runner_of(console).start(SHORT)
        held: list[Route] = []
        page.route(f"**/api/actions/{earlier.id}*", lambda route: held.append(route))
        page.goto(served.address)
        page.get_by_role("button", name="Check the stage").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Check").click()
        dialog.wait_for(state="hidden")
        panel = page.locator("#action")
        new = panel.get_attribute("data-id")
        assert held, "the page reads the earlier action"
        assert new != earlier.id
        for route in held:
            route.continue_()
        page.unroute_all()
        panel.locator("#action-log", has_text="$ ./sortbox doctor").wait_for()
        assert panel.get_attribute("data-id") == new
        assert "of the log" not in panel.inner_text(), "a line of the earlier action"


def test_what_runs_beside_does_not_take_the_panel(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    """Neither that of a running action, nor that of one which was chosen by its address."""
    with operated(console_folder, "/operate") as (console, served):
        runner = runner_of(console)
        chosen = runner.start(replace(SHORT, title="The chosen one"))
        wait_for_end(runner, chosen.id)  # else the page may show this one of the two that run
        first = runner.start(LONG)
        page.goto(served.address)
        page.locator("#action-log", has_text=LINE).wait_for()
        second = page.context.new_page()
        second.goto(f"{served.origin}/actions?id={chosen.id}")
        second.locator("#action-log", has_text=LINE).wait_for()
        beside = runner.start(replace(LONG, title="Beside", is_exclusive=False))
        third = page.context.new_page()
        third.goto(f"{served.origin}/actions?id={beside.id}")
        third.locator("#action-log", has_text=LINE).wait_for()
        with log.open("a") as file:
            file.write("another line\n")
        for tab in (page, third):
            tab.locator("#action-log", has_text="another line").wait_for()
        ids = [tab.locator("#action").get_attribute("data-id") for tab in (page, second, third)]
        assert ids == [first.id, chosen.id, beside.id]


def test_a_click_before_the_scripts_are_there_sends_no_form(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    """The browser would load the page again, with the form's values in its address."""
    with operated(console_folder, "/train") as (_, served):
        held: list[Route] = []
        page.route("**/static/train.js", lambda route: held.append(route))
        page.goto(served.address, wait_until="commit")
        button = page.locator("#train button.first")
        button.wait_for()
        box = button.bounding_box()
        assert box is not None
        while not held:
            page.wait_for_timeout(20)
        address = page.url
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.locator("#main[inert]").wait_for()
        for route in held:
            route.continue_()
        page.locator("#main:not([inert])").wait_for()
        assert page.url == address
        page.get_by_label("A folder on this machine, or s3://…").fill("s3://bucket/photos/")
        button.click()
        page.get_by_role("dialog").wait_for()


def test_a_look_at_an_action_that_fails_is_repeated(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    """Also where nothing more is heard of it: it has ended."""
    with operated(console_folder, "/operate") as (console, served):
        action = runner_of(console).start(SHORT)
        wait_for_end(runner_of(console), action.id)
        answers = iter([503])

        def answer(route: "Route") -> None:
            if status := next(answers, None):
                route.fulfill(status=status, json={"error": "The console is busy."})
            else:
                route.continue_()

        page.route(f"**/api/actions/{action.id}*", answer)
        page.goto(served.address)
        page.locator("#trouble", has_text="The console is busy.").wait_for()
        page.locator("#action-log", has_text=LINE).wait_for()
        page.locator("#trouble").wait_for(state="hidden")


def test_two_clicks_start_one_action(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    with operated(console_folder, "/operate", STAGE) as (console, served):
        page.goto(served.address)
        page.get_by_role("button", name="Check the stage").dblclick()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Check").click()
        page.locator("#action-state", has_text="failed").wait_for()
        page.wait_for_load_state("networkidle")
        assert len(runner_of(console).actions()) == 1


def test_a_dry_run_allows_what_it_has_counted_and_nothing_else(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    """Here a log stands for the dry run, since the cloud is down."""
    with operated(console_folder, "/models") as (console, served):
        long = (("logs",),) * 12  # else it has ended before the console looks
        order = Order("reclassify", "Dry run for inbox/", long, is_exclusive=False)

        def start(route: "Route") -> None:
            route.fulfill(json=describe(runner_of(console).start(order)))

        page.goto(served.address)
        page.route("**/api/actions", start)
        button = page.get_by_role("button", name="Reclassify …")
        page.get_by_role("button", name="Dry run").click()
        page.get_by_text("As the dry run of inbox/ counted.").wait_for()
        assert button.is_enabled()
        page.get_by_role("button", name="Dry run").click()
        page.get_by_label("Below").fill("inbox/other/")
        page.locator("#action-state", has_text="done").wait_for()
        with page.expect_request("**/models"):
            pass  # an end that is heard renews the page, then decides what it allows
        assert button.is_disabled(), "another folder was counted"


def test_a_wrong_value_is_said_before_anything_starts(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    with operated(console_folder, "/train") as (console, served):
        page.goto(served.address)
        page.get_by_label("A folder on this machine, or s3://…").fill("s3://bucket/photos/")
        page.get_by_label("epochs", exact=True).fill("many")
        page.get_by_role("button", name="Train …").click()
        page.locator("#trouble", has_text="epochs must be a whole number").wait_for()
        page.get_by_label("epochs", exact=True).fill("3")
        page.get_by_role("button", name="Train …").click()
        dialog = page.get_by_role("dialog")
        dialog.wait_for()
        assert "--epochs=3" in dialog.inner_text()
        assert "At most 24 h on one ml.m5.xlarge" in dialog.inner_text()
        page.keyboard.press("Escape")
        assert runner_of(console).actions() == []


def test_what_was_made_is_linked_when_it_is_done(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    """By the lines that the command has printed, which here are a log's."""
    log.write_text(f"job: {JOB}\njob: <script>\n")
    with operated(console_folder, "/train") as (console, served):
        order = Order("train", "Train on photos", (("logs",),), is_exclusive=True)
        runner_of(console).start(order)
        page.goto(served.address)
        link = page.get_by_role("link", name="Promote it")
        link.wait_for()
        assert link.get_attribute("href") == f"/models?job={JOB}"


def test_the_curves_of_a_job_are_drawn(
    page: "Page", page_errors: list[str], console_folder: Path, log: Path
) -> None:
    with operated(console_folder, f"/train?job={JOB}") as (_, served):
        log_epochs(3)
        page.goto(served.address)
        page.get_by_role("img", name="Loss: train 0.3333, validation 0.6667").wait_for()
        assert page.locator("#curves polyline.validation").count() == 2


def test_times_are_those_of_the_place(browser: "Browser", console_folder: Path) -> None:
    """Also in the sections that the page fetches again."""
    opened = browser.new_context(locale="en-GB", timezone_id="Asia/Kolkata")
    with operated(console_folder, "/models") as (_, served):
        page = opened.new_page()
        page.goto(served.address)
        page.evaluate(
            "document.querySelectorAll('#history time').forEach(one => one.textContent = 'old');"
            "import('/static/console.js').then(console => console.renew('active', 'history'))"
        )
        page.locator("#history time", has_text="22/11/2026, 14:30:00").wait_for()
        time = page.locator("#active time")
        assert time.inner_text() == "22/11/2026, 14:30:00"
        assert time.get_attribute("title") == "2026-11-22T09:00:00Z", "in UTC"
    opened.close()


def test_what_runs_outlives_its_console_and_is_shown_and_stopped_by_the_next(
    page: "Page", console_folder: Path, log: Path
) -> None:
    with operated_console(console_folder) as console, ended(runner_of(console)):
        runner_of(console).start(LONG)
        with serve(console, "/operate") as served:
            page.goto(served.address)
            page.locator("#action-log", has_text=LINE).wait_for()
        with serve(console, "/operate") as served:
            page.goto(served.address)
            page.locator("#action-log", has_text=LINE).wait_for()
            page.get_by_role("button", name="Stop").click()
            page.locator("#action-state", has_text="interrupted").wait_for()


def test_nothing_serious_is_found_on_the_pages(
    look_page: "Page", assert_accessible: AssertAccessible, console_folder: Path, log: Path
) -> None:
    with operated(console_folder, "/train") as (console, served):
        log_epochs(3)
        runner_of(console).start(replace(LONG, is_exclusive=False))
        look_page.goto(served.address)
        for path, selector in PATHS.items():
            look_page.goto(f"{served.origin}{path}")
            look_page.locator(selector).first.wait_for()
            assert_accessible(look_page, path)
            button = look_page.locator("button[data-verb]")
            if button.count():
                button.first.click()
                look_page.get_by_role("dialog").wait_for()
                assert_accessible(look_page, f"{path}, before the start")
