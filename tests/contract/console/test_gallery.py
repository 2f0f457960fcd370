"""The gallery in Chromium: filters, keyboard, one image large, and a hundred thousand answers."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aws.bucket import Bucket
from console.answers.filling import Filling
from console.answers.routes import open_index
from console.context import Console
from domain.keys import ACTIVE_MODEL, INBOX
from domain.reply import Label
from domain.result import Previous
from infra.stage import Stage
from tests.contract.console.conftest import AssertAccessible
from tests.support.builders.answers import PETS, classified, rejected, store
from tests.support.fakes.many_answers import (
    ACTIVE,
    ManyAnswersS3,
    ThumbnailEndpoint,
    image,
    jpeg,
    rows,
)
from tests.support.worlds.consoles import BUCKET, NOBODY, Served, mocked_console, serve

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.slow

MANY = 100_000
MOST_ELEMENTS = 150
"""Elements of answers: those in view on a large screen, and some above and below."""

HOSTILE = {
    "<img src=x onerror=alert(1)>.jpg": "<img src=x onerror=alert(1)>.jpg",
    "a\u202egpj.exe": "a\\u202egpj.exe",
    "trip/'\"><script>alert(1)</script>": "script>",
    "x" * 900 + ".jpg": "xxx.jpg",
}
"""Names, and what the heading of the image has."""


@pytest.fixture
def console(console_folder: Path) -> Iterator[Console]:
    """Forty cats, two dogs, one rejection; only the first images have thumbnails."""
    endpoint: Any = ThumbnailEndpoint()
    with mocked_console(console_folder, runtime=endpoint) as console:
        s3 = console.bucket.client
        s3.put_object(Bucket=BUCKET, Key=ACTIVE_MODEL, Body=ACTIVE.to_json().encode())
        cats = [
            classified(f"cat{n:02}.jpg", ("cat", 0.99 - n / 100), at=f"2026-11-27T09:00:{n:02}Z")
            for n in range(40)
        ]
        before = Previous(PETS, Label("wolf", 0.5))
        store(s3, BUCKET, *cats, rejected("bad.jpg"))
        store(s3, BUCKET, classified("dog1.jpg", ("dog", 0.3), ("cat", 0.2), previous=before))
        store(s3, BUCKET, classified("trip/dog2.jpg", ("dog", 0.8)))
        s3.put_object(Bucket=BUCKET, Key="inbox/dog1.jpg", Body=jpeg(1))
        Filling(console.bucket, open_index(console)).run()
        yield console


@pytest.fixture
def served(console: Console) -> Iterator[Served]:
    with serve(console, "/look") as served:
        yield served


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ThumbnailEndpoint, Served]]:
    s3: Any = ManyAnswersS3(MANY)
    endpoint: Any = ThumbnailEndpoint(delay_seconds=0.01)
    folder = tmp_path_factory.mktemp("many")
    console = Console(Stage("dev"), Bucket(s3, BUCKET), NOBODY, endpoint, NOBODY, folder)
    open_index(console).put(rows(MANY))
    with serve(console, "/look") as served:
        yield endpoint, served


def count(page: "Page", text: str) -> None:
    page.locator("#count").filter(has_text=text).wait_for()


def tile(page: "Page", number: int) -> "Locator":
    """The element of an answer in view, counted from 1."""
    return page.locator(f"[aria-posinset='{number}']:not([hidden])")


def names(page: "Page") -> list[str]:
    """Of the elements in view, in their order."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".answer:not([hidden])")]
          .sort((a, b) => a.getAttribute("aria-posinset") - b.getAttribute("aria-posinset"))
          .map((one) => one.querySelector(".name").textContent)"""
    )
    return found


def library(page: "Page", expression: str) -> Any:
    """What another module of the page sees of the gallery."""
    return page.evaluate(
        f"async () => {{ const g = await import('/static/gallery.js'); return {expression}; }}"
    )


def test_filters_and_order_are_in_the_address(
    page: "Page", page_errors: list[str], served: Served
) -> None:
    page.goto(served.address)
    tile(page, 1).filter(has_text=re.compile("bad|dog")).wait_for()
    assert names(page)[0] in ("bad.jpg", "dog1.jpg", "dog2.jpg"), "the newest are the first"
    page.select_option("#f-label", "dog")
    count(page, "2 answers")
    page.select_option("#f-sort", "score-up")
    tile(page, 1).filter(has_text="dog1.jpg").wait_for()
    assert "label=dog" in page.url
    assert "sort=score-up" in page.url
    page.reload()
    tile(page, 1).filter(has_text="dog1.jpg").wait_for()
    assert names(page) == ["dog1.jpg", "dog2.jpg"]
    assert page.locator("#f-label").input_value() == "dog"
    page.go_back()
    page.go_back()
    count(page, "43 answers")
    page.select_option("#f-kind", "rejected")
    count(page, "1 answer")
    page.select_option("#f-kind", "unsure")
    tile(page, 1).filter(has_text="dog1.jpg").wait_for()
    assert names(page) == ["dog1.jpg"]
    page.locator("#more summary").click()
    page.fill("#f-unsure", "0.65")
    count(page, "7 answers")
    page.click("#clear")
    count(page, "43 answers")
    page.fill("#f-name", "TRIP")
    count(page, "1 answer")
    page.fill("#f-name", "no such name")
    page.get_by_text("No answer is like that").wait_for()


def test_a_sample_is_drawn_again(page: "Page", page_errors: list[str], served: Served) -> None:
    page.goto(served.address)
    count(page, "43 answers")
    page.select_option("#f-sort", "sample")
    page.wait_for_url("**seed=1")
    tile(page, 10).locator(".name bdi").wait_for()
    first = names(page)[:10]
    page.click("#shuffle")
    tile(page, 1).filter(has_not_text=first[0]).locator(".name bdi").wait_for()
    second = names(page)[:10]
    assert first != second
    page.reload()
    tile(page, 1).filter(has_text=second[0]).wait_for()
    assert names(page)[:10] == second


def test_all_of_it_by_keyboard(page: "Page", page_errors: list[str], served: Served) -> None:
    page.goto(f"{served.address}%3Fsort%3Dname%26label%3Dcat")
    count(page, "40 answers")
    page.locator("#correct").get_by_role("button").first.wait_for()  # it takes some of the width
    columns = page.evaluate(
        """async () => {
          for (const _ of [1, 2]) await new Promise((drawn) => requestAnimationFrame(drawn));
          return new Set([...document.querySelectorAll(".answer:not([hidden])")]
            .map((one) => one.getBoundingClientRect().x)).size;
        }"""
    )
    current = "g.current()?.image"
    assert library(page, current) == "inbox/cat00.jpg"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert library(page, current) == f"inbox/cat{columns + 1:02}.jpg"
    page.keyboard.press("End")
    assert library(page, current) == "inbox/cat39.jpg"
    page.keyboard.press("Home")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    count(page, "3 selected")
    assert library(page, "g.selection().map((one) => one.image)") == [
        f"inbox/cat0{number}.jpg" for number in range(3)
    ]
    page.keyboard.press("Shift+ArrowLeft")
    count(page, "2 selected")
    page.keyboard.press("Escape")
    assert library(page, "g.selection().length") == 0
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    count(page, "2 selected")
    library(page, "g.advance()")
    assert library(page, "[g.selection().length, g.current().image]") == [0, "inbox/cat04.jpg"]
    page.keyboard.press("Enter")
    page.locator("#large h2").filter(has_text="cat04.jpg").wait_for()
    page.keyboard.press("ArrowRight")
    page.locator("#large h2").filter(has_text="cat05.jpg").wait_for()
    library(page, "g.advance()")
    page.locator("#large h2").filter(has_text="cat06.jpg").wait_for()
    page.keyboard.press("ArrowLeft")
    page.locator("#large h2").filter(has_text="cat05.jpg").wait_for()
    assert "image=inbox%2Fcat05.jpg" in page.url
    page.keyboard.press("Escape")
    page.locator("#large").wait_for(state="hidden")
    page.wait_for_url(re.compile("^((?!image=).)*$"))
    assert library(page, current) == "inbox/cat05.jpg"


def test_several_by_mouse(page: "Page", page_errors: list[str], served: Served) -> None:
    page.goto(f"{served.address}%3Fsort%3Dname%26label%3Dcat")
    count(page, "40 answers")
    tile(page, 2).click()
    tile(page, 5).click(modifiers=["Shift"])
    count(page, "4 selected")
    tile(page, 3).click(modifiers=["Control"])
    count(page, "3 selected")
    assert tile(page, 4).get_attribute("aria-selected") == "true"
    tile(page, 1).click()
    page.locator("#count").filter(has_not_text="selected").wait_for()


def test_one_image_shows_all_that_is_known_of_it(
    page: "Page", page_errors: list[str], served: Served
) -> None:
    page.goto(f"{served.address}%3Fimage%3Dinbox%252Fdog1.jpg")
    large = page.locator("#large-content")
    large.get_by_text("Before, by pets:1: wolf 0.50").wait_for()
    assert large.locator(".bars li").all_inner_texts() == ["dog\n0.30", "cat\n0.20"]
    page.wait_for_function("document.querySelector('.stage-picture img').naturalWidth > 0")
    assert page.evaluate("document.querySelector('.stage-picture img').naturalWidth") == 160
    text = large.inner_text()
    for part in (f"s3://{BUCKET}/inbox/dog1.jpg", "source.etag", "classified_at", "model_ms"):
        assert part in text
    page.goto(f"{served.origin}/look/image?image=inbox%2Fbad.jpg&sort=name")
    page.get_by_text("The file ends too early. Upload it again.").first.wait_for()
    page.get_by_text("No browser shows this image.").wait_for()
    page.get_by_role("link", name="Next").click()
    page.get_by_role("heading", name="cat00.jpg").wait_for()


def test_answers_appear_change_and_go_without_a_reload(
    page: "Page", page_errors: list[str], console: Console, served: Served
) -> None:
    page.goto(served.address)
    count(page, "43 answers")
    late = "2026-11-28T10:00:00Z"
    store(console.bucket.client, BUCKET, classified("new.jpg", ("bird", 0.7), at=late))
    tile(page, 1).filter(has_text="new.jpg").wait_for()
    count(page, "44 answers")
    page.keyboard.press("ArrowRight")
    store(console.bucket.client, BUCKET, classified("new.jpg", ("owl", 0.7), at=late))
    page.locator("#fresh").wait_for(state="visible")
    assert "bird" in tile(page, 1).inner_text(), "nothing moves by itself"
    page.click("#fresh")
    tile(page, 1).filter(has_text="owl").wait_for()
    console.bucket.client.delete_object(Bucket=BUCKET, Key="outbox/new.jpg.json")
    count(page, "43 answers")


def test_a_correction_is_seen_on_its_image(
    page: "Page", page_errors: list[str], served: Served
) -> None:
    page.goto(f"{served.address}%3Flabel%3Ddog%26sort%3Dname")
    count(page, "2 answers")
    wolf = tile(page, 1)
    library(page, "g.mark('inbox/dog1.jpg', '<b>wolf')")
    assert wolf.locator(".caption bdi").inner_text() == "<b>wolf"
    library(page, "g.mark('inbox/dog1.jpg', null)")
    assert wolf.locator(".caption bdi").inner_text() == "dog"


def test_a_hostile_name_is_text(page: "Page", page_errors: list[str], console_folder: Path) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    with mocked_console(console_folder) as console:
        for name in HOSTILE:
            store(console.bucket.client, BUCKET, classified(name, ("<u>label</u>\u202e", 0.5)))
        Filling(console.bucket, open_index(console)).run()
        with serve(console, "/look") as served:
            page.goto(served.address)
            count(page, f"{len(HOSTILE)} answers")
            labels = page.locator(".answer:not([hidden]) .caption bdi").all_inner_texts()
            assert set(labels) == {"<u>label</u>\\u202e"}
            assert "\u202e" not in page.locator("#gallery").inner_text()
            for name, heading in HOSTILE.items():
                page.evaluate("image => history.replaceState(null, '', image)", "/look")
                index = names_index(page, name)
                tile(page, index).dblclick()
                page.locator("#large h2", has_text=heading).wait_for()
                page.locator("#large-content table").wait_for()
                assert page.locator("#large-content script, #large-content u").count() == 0
                page.keyboard.press("Escape")
            assert page.locator("#gallery img[src=x], #gallery script").count() == 0
    assert dialogs == []


def names_index(page: "Page", name: str) -> int:
    index: int = page.evaluate(
        """async (image) => {
          const answer = await (await fetch("/api/answers")).json();
          return answer.rows.findIndex((row) => row.image === image) + 1;
        }""",
        INBOX + name,
    )
    assert index > 0
    return index


def test_an_empty_outbox_says_what_to_do(
    page: "Page", page_errors: list[str], console_folder: Path
) -> None:
    with mocked_console(console_folder) as console, serve(console, "/look") as served:
        page.goto(served.address)
        page.get_by_text("There are no answers yet.").wait_for()
        assert page.get_by_role("link", name="Drop images").count() == 1
        store(console.bucket.client, BUCKET, classified("a.jpg"))
        count(page, "1 answer")
        page.keyboard.press("Enter")
        page.locator("#large h2").filter(has_text="a.jpg").wait_for()


def test_a_hundred_thousand_answers_are_scrolled_to_the_end(
    page: "Page", page_errors: list[str], many: tuple[ThumbnailEndpoint, Served]
) -> None:
    endpoint, served = many
    page.goto(f"{served.address}%3Fsort%3Dname")
    count(page, "100,000 answers")
    page.locator(".picture img:not([hidden])").first.wait_for()
    elements = page.evaluate(
        """async () => {
          const grid = document.getElementById("gallery");
          let most = 0;
          for (let part = 0; part <= 40; part += 1) {
            grid.scrollTop = grid.scrollHeight * part / 40;
            await new Promise((go) => setTimeout(go, 30));
            most = Math.max(most, document.querySelectorAll(".answer").length);
          }
          return most;
        }"""
    )
    assert elements <= MOST_ELEMENTS, "the page holds what is in view alone"
    last = image(MANY - 1).rpartition("/")[2]
    tile(page, MANY).filter(has_text=last).wait_for()
    page.locator("#gallery").focus()
    page.keyboard.press("End")
    assert library(page, "g.current().image") == image(MANY - 1)
    page.fill("#f-name", "IMG_0077777")
    count(page, "1 answer")
    assert endpoint.most <= 2, "uploads are answered first"


def test_nothing_serious_is_found_in_the_gallery(
    look_page: "Page", assert_accessible: AssertAccessible, served: Served
) -> None:
    look_page.goto(served.address)
    count(look_page, "43 answers")
    look_page.locator("#more summary").click()
    look_page.keyboard.press("Tab")
    assert_accessible(look_page, "gallery")
    look_page.locator("#gallery").focus()
    look_page.keyboard.press("Space")
    look_page.keyboard.press("Enter")
    look_page.locator("#large-content table").wait_for()
    assert_accessible(look_page, "large")
    look_page.goto(f"{served.origin}/look/image?image=inbox%2Fdog1.jpg")
    look_page.locator("#image-page table").wait_for()
    assert_accessible(look_page, "page")
    look_page.goto(f"{served.origin}/look?label=none")
    look_page.get_by_text("No answer is like that").wait_for()
    assert_accessible(look_page, "empty")
