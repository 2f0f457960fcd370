"""Watching in Chromium: what is answered appears without a reload."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from console.context import Console
from tests.contract.console.conftest import WAIT_MS, AssertAccessible
from tests.support.fakes.watched_stage import (
    NoEndpoint,
    QuietSageMaker,
    classify,
    finish,
    open_run,
    reject,
    upload,
)
from tests.support.worlds.consoles import mocked_console, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.jpg"


@pytest.fixture
def console(console_folder: Path) -> Iterator[Console]:
    sagemaker: Any = QuietSageMaker()
    with mocked_console(console_folder, sagemaker=sagemaker) as opened:
        yield opened


def wait_for(page: "Page", sentence: str | re.Pattern[str]) -> None:
    page.get_by_text(sentence).first.wait_for(timeout=WAIT_MS)


def test_singles_and_folders_fill_without_a_reload(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    bucket = console.bucket
    with serve(console, "/watch") as served:
        page.goto(served.address)
        wait_for(page, "The inbox has no folder.")
        wait_for(page, "No model is active")
        page.evaluate("window.isSamePage = true")
        upload(bucket, "cat.jpg", HOSTILE, *(f"trip/{number}.jpg" for number in range(4)))
        open_run(bucket, "trip")
        wait_for(page, "0 of 4")
        wait_for(page, "0 of 2 images answered")
        page.get_by_role("link", name="cat.jpg").focus()
        classify(bucket, "trip/0.jpg", "trip/1.jpg")
        classify(bucket, "cat.jpg", label="tiger <b>cat</b>")
        wait_for(page, "2 of 4")
        row = page.get_by_role("row", name="cat.jpg").inner_text()
        assert "tiger <b>cat</b>" in row
        assert "0.90" in row
        wait_for(page, re.compile("^1 of 2 images answered, .* a (second|minute), about .* left"))
        reject(bucket, HOSTILE, "corrupt", "It is damaged <b>.")
        wait_for(page, "rejected, corrupt: It is damaged <b>.")
        finish(bucket, "trip", 4)
        wait_for(page, "finished")
        links = page.get_by_role("row", name="trip").get_by_role("link")
        assert [link.get_attribute("href") for link in links.all()] == [
            "/watch?key=inbox%2Ftrip%2F",
            "/look?folder=inbox%2Ftrip%2F",
            "/reports/outbox/trip/_report.html",
        ]
        assert page.evaluate("window.isSamePage"), "the page was loaded again"


def test_an_endpoint_that_is_gone_is_said_with_what_to_do(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    gone: Any = NoEndpoint()
    upload(console.bucket, "cat.jpg")
    with serve(replace(console, sagemaker=gone), "/watch") as served:
        page.goto(served.address)
        wait_for(page, "does not exist: promoting a model creates it.")
        wait_for(page, "0 of 1 image answered")
        page.goto(f"{served.origin}/watch?key=cat.jpg")
        wait_for(page, "There is no answer yet")
        wait_for(page, "does not exist: promoting a model creates it.")


def test_one_image_is_explained_until_it_is_answered(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    upload(console.bucket, HOSTILE)
    with serve(console, "/watch") as served:
        page.goto(served.address)
        page.get_by_label("Image or folder").fill(HOSTILE)
        page.keyboard.press("Enter")
        wait_for(page, "There is no answer yet")
        wait_for(page, "It is a single: the endpoint answers it.")
        classify(console.bucket, HOSTILE, label="cat")
        wait_for(page, "says cat 0.90, by imagenet:1")
        page.goto(f"{served.origin}/watch?key=nothing")
        wait_for(page, "There is no inbox/nothing.")


def test_nothing_serious_is_found(
    look_page: "Page", assert_accessible: AssertAccessible, console: Console
) -> None:
    bucket = console.bucket
    upload(bucket, "cat.jpg", HOSTILE, "old/a.jpg", *(f"trip/{number}.jpg" for number in range(4)))
    classify(bucket, "cat.jpg", "trip/1.jpg")
    reject(bucket, HOSTILE, "corrupt", "It is damaged.")
    finish(bucket, "old")
    open_run(bucket, "trip")
    with serve(console, "/watch") as served:
        look_page.goto(served.address)
        for path, sentence in (("/watch", "1 of 4"), ("/watch?key=trip", "images 4, answers 1")):
            look_page.goto(f"{served.origin}{path}")
            wait_for(look_page, sentence)
            assert_accessible(look_page, path)
