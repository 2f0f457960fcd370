"""The order by neighbours in Chromium: the odd one comes first, and why not where there is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from console.answers.filling import Filling
from console.answers.routes import open_index
from console.context import Console
from domain.keys import ACTIVE_MODEL
from tests.contract.console.conftest import AssertAccessible
from tests.support.builders.answers import classified, store
from tests.support.fakes.feature_endpoint import FeatureEndpoint
from tests.support.worlds.consoles import BUCKET, mocked_console, serve
from tests.support.worlds.uploads import active

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

BOOTS = 12


@pytest.fixture
def console(console_folder: Path) -> Iterator[Console]:
    """Boots, as many shoes, and one that is called a shoe and looks like the boots."""
    endpoint: Any = FeatureEndpoint(active(1))
    with mocked_console(console_folder, runtime=endpoint) as console:
        s3 = console.bucket.client
        s3.put_object(Bucket=BUCKET, Key=ACTIVE_MODEL, Body=active(1).to_json().encode())
        images = {f"boots{n:02}.jpg": ("boots", [1.0, n / 100]) for n in range(BOOTS)}
        images |= {f"shoe{n:02}.jpg": ("shoe", [n / 100, 1.0]) for n in range(BOOTS)}
        images |= {"odd.jpg": ("shoe", [1.0, 0.055])}
        for name, (label, numbers) in images.items():
            endpoint.numbers[name.encode()] = numbers
            stored = s3.put_object(Bucket=BUCKET, Key=f"inbox/{name}", Body=name.encode())
            etag = stored["ETag"].strip('"')
            store(s3, BUCKET, classified(name, (label, 0.9), etag=etag))
        Filling(console.bucket, open_index(console)).run()
        yield console


def test_the_odd_one_comes_first_and_says_why(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    with serve(console, "/look") as served:
        page.goto(served.address)
        page.locator("#count").filter(has_text="25 answers").wait_for()
        page.select_option("#f-sort", "unlike")
        page.locator("#count").filter(has_text="25 compared with each other").wait_for()
        first = page.locator("[aria-posinset='1']:not([hidden])")
        first.filter(has_text="10 of its 10 nearest images are called boots").wait_for()
        assert "odd.jpg" in first.inner_text()
        first.dblclick()
        page.locator("#large-content").filter(has_text="are called boots").wait_for()
        page.locator("#close").click()
        page.select_option("#f-label", "boots")
        page.locator("#count").filter(has_text="12 compared with each other").wait_for()
        page.select_option("#f-sort", "name")
        first.filter(has_text="boots00.jpg").wait_for()
        assert "nearest" not in first.inner_text()


def test_a_stage_without_an_endpoint_says_why_in_a_sentence(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    pointer = active(1, "none").to_json().encode()
    console.bucket.client.put_object(Bucket=BUCKET, Key=ACTIVE_MODEL, Body=pointer)
    with serve(console, "/look") as served:
        page.goto(served.address)
        page.select_option("#f-sort", "unlike")
        page.locator("#empty").filter(has_text="The stage has no endpoint (mode none)").wait_for()


def test_nothing_serious_is_found_in_the_order(
    look_page: "Page", assert_accessible: AssertAccessible, console: Console
) -> None:
    with serve(console, "/look") as served:
        look_page.goto(served.address)
        look_page.goto(f"{served.origin}/look?sort=unlike")
        look_page.locator("#count").filter(has_text="25 compared with each other").wait_for()
        assert_accessible(look_page, "ordered by neighbours")
