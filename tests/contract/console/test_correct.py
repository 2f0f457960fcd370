"""Correcting in the gallery by keyboard, in Chromium: what is decided arrives in S3."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from aws.bucket import Bucket
from console.answers.filling import Filling
from console.answers.routes import open_index
from console.context import Console
from domain.corrections.form import Correction, from_json, name_of, to_json
from domain.keys import ACTIVE_MODEL, CORRECTIONS, archive_key
from domain.model import ActiveModel, ModelId
from domain.result import Classified, Rejected
from infra.shipped import REPOSITORY
from tests.contract.console.conftest import AssertAccessible
from tests.contract.local_sagemaker.support import aws
from tests.support.builders.answers import classified, rejected, store
from tests.support.builders.packed import archive_of_labels
from tests.support.fakes.many_answers import ThumbnailEndpoint, jpeg
from tests.support.worlds.consoles import BUCKET, mocked_console, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow

EVIL = "<img src=x onerror=alert(1)>"
LABELS = ("skirt", "dress", "coat", "tiger cat", EVIL, "\u202etxet", "nightgown")
MODEL = ModelId("pets", 2, f"sha256:{'1' * 64}")
IMAGES = 12


def answer(number: int, etag: str) -> Classified | Rejected:
    at = f"2026-11-28T09:00:{59 - number:02}Z"
    name = f"{number:02}.jpg"
    if number == IMAGES - 1:
        return rejected(name, at=at, etag=etag)
    return classified(name, ("skirt", 0.5), ("dress", 0.3), (EVIL, 0.1), at=at, etag=etag)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def console(console_folder: Path) -> Iterator[Console]:
    endpoint: Any = ThumbnailEndpoint()
    with mocked_console(console_folder, runtime=endpoint) as opened:
        fill(opened.bucket)
        Filling(opened.bucket, open_index(opened)).run()
        yield opened


def fill(bucket: Bucket) -> None:
    """Twelve answers, the newest of 00.jpg; 11.jpg is rejected."""
    pointer = ActiveModel(MODEL, "sortbox-dev", "model", "2026-11-01T00:00:00Z")
    bucket.put(ACTIVE_MODEL, pointer.to_json())
    bucket.put(archive_key(MODEL), archive_of_labels(LABELS))
    for number in range(IMAGES):
        bucket.put(f"inbox/{number:02}.jpg", jpeg(number))
        head = bucket.head(f"inbox/{number:02}.jpg")
        assert head is not None
        store(bucket.client, bucket.name, answer(number, head.listed.etag))


def stored(console: Console) -> list[Correction]:
    return stored_in(console.bucket)


def stored_in(bucket: Bucket) -> list[Correction]:
    """In the order of their names."""
    found = []
    for listed in bucket.walk(CORRECTIONS):
        body, name = bucket.read(listed.key), name_of(listed.key)
        assert body is not None
        assert name is not None
        found.append(from_json(name, body.body))
    return found


def words(console: Console) -> list[tuple[str, str | None]]:
    return [(one.image[6:8], one.to) for one in stored(console) if one.withdraws is None]


def begin(page: "Page", address: str) -> None:
    page.goto(address)
    page.locator("#correct").get_by_role("button", name="1 skirt").wait_for()


def press(page: "Page", *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def wait_for_stored(page: "Page", count: int) -> None:
    """Of this page; nothing waits any more."""
    sentence = re.compile(rf"^Stored: {count}\.$")
    page.locator("#correct").get_by_text(sentence).wait_for()


def test_ten_images_are_corrected_by_keyboard(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    with serve(console, "/look") as served:
        begin(page, served.address)
        press(page, "2", "1", "c", "n", "3")
        page.keyboard.type("tig")
        press(page, "Enter", "/")
        page.keyboard.type("nightg")
        press(page, "Enter")
        press(page, "Shift+ArrowRight", "Shift+ArrowRight", "2")
        wait_for_stored(page, 10)
        assert words(console) == [
            ("00", "dress"),
            ("01", "skirt"),
            ("02", "skirt"),
            ("03", None),
            ("04", EVIL),
            ("05", "tiger cat"),
            ("06", "nightgown"),
            ("07", "dress"),
            ("08", "dress"),
            ("09", "dress"),
        ]
        assert {one.who for one in stored(console)} == {"moto"}
        assert [one.before for one in stored(console)] == ["skirt"] * 10
        current = page.locator(".answer.current")
        assert "10.jpg" in current.inner_text(), "the cursor has moved on"
        press(page, "ArrowRight", "3")
        wait_for_stored(page, 11)
        last = stored(console)[-1]
        assert (last.before, last.to) == (None, EVIL), "a rejected one: the third that was chosen"
        page.reload()
        page.locator(".answer.corrected").nth(10).wait_for()
        assert page.locator(".answer.corrected").count() == 11


def test_undo_takes_back_the_last_action_with_all_its_images(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    with serve(console, "/look") as served:
        begin(page, served.address)
        press(page, "2", "Shift+ArrowRight", "Shift+ArrowRight", "n")
        wait_for_stored(page, 4)
        press(page, "u")
        wait_for_stored(page, 7)
        page.locator(".answer.corrected").nth(1).wait_for(state="detached")
        assert page.locator(".answer.corrected").count() == 1
        press(page, "u")
        wait_for_stored(page, 8)
        press(page, "u")
        page.get_by_text("Nothing to undo on this page").wait_for()
        withdrawn = [one.withdraws for one in stored(console) if one.withdraws]
        assert sorted(withdrawn) == [one.name for one in stored(console) if not one.withdraws]


def test_a_mistyped_label_is_questioned_and_a_new_class_is_asked_for(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    with serve(console, "/look") as served:
        begin(page, served.address)
        dialog = page.get_by_role("dialog")
        press(page, "/")
        page.keyboard.type("drses")
        press(page, "Enter")
        dialog.get_by_text("is no class of pets:2. Did you mean:").wait_for()
        dialog.get_by_role("button", name="dress").click()
        wait_for_stored(page, 1)
        press(page, "/")
        page.keyboard.type("Hoodie")
        press(page, "Enter")
        dialog.get_by_role("button", name="It is a new class").click()
        wait_for_stored(page, 2)
        page.keyboard.type("hoo")
        press(page, "Enter")
        wait_for_stored(page, 3)
        press(page, "/")
        page.keyboard.type("DRESS ")
        press(page, "Enter")
        wait_for_stored(page, 4)
        press(page, "/")
        page.keyboard.type("\u200b")
        press(page, "Enter")
        dialog.get_by_text("cannot be a class").wait_for()
        assert not dialog.get_by_role("button", name="It is a new class").count()
        press(page, "Escape")
        labels = [label for _, label in words(console)]
        assert labels == ["dress", "Hoodie", "Hoodie", "dress"]


def test_what_is_decided_while_the_console_is_down_is_stored_after_its_restart(
    page: "Page", console: Console
) -> None:
    with serve(console, "/look") as served:
        begin(page, served.address)
        press(page, "2", "2", "2")
        wait_for_stored(page, 3)
        origin = served.origin
    press(page, "n", "1", "u", "3")
    page.get_by_text("Waiting to be stored: 4.").wait_for()
    page.get_by_text("They are kept in this browser.").wait_for()
    assert len(stored(console)) == 3
    tab = page.context.new_page()
    page.close()
    with serve(console, "/look") as served:
        assert served.origin == origin, "another port is another store of the browser"
        begin(tab, served.address)
        wait_for_stored(tab, 4)
    assert words(console)[3:] == [("03", None), ("04", "skirt"), ("05", EVIL)]
    last = [one for one in stored(console) if one.withdraws]
    assert [one.image for one in last] == ["inbox/04.jpg"]


def test_a_selection_of_several_pages_of_the_gallery_is_corrected_whole(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    count = 1000
    for number in range(IMAGES, count):
        name = f"more/{number:04}.jpg"
        console.bucket.put(f"inbox/{name}", b"x")
        etag = hashlib.md5(b"x").hexdigest()
        made = classified(name, ("skirt", 0.5), ("dress", 0.3), etag=etag)
        store(console.bucket.client, BUCKET, made)
    Filling(console.bucket, open_index(console)).run()
    with serve(console, "/look") as served:
        begin(page, served.address)
        press(page, "Shift+End")
        page.get_by_text("1,000 images are selected.").wait_for()
        press(page, "2")
        page.locator("#correct").get_by_text(re.compile(r"^Stored: 1,000\.$")).wait_for()
        assert len(stored(console)) == count


PROCESS = """
import sys
from pathlib import Path
import boto3
from aws.bucket import Bucket
from console.context import Console
from console.web.server import listen
from infra.stage import Stage
s3, absent = boto3.client("s3"), None
console = Console(Stage("dev"), Bucket(s3, sys.argv[1]), absent, absent, absent, Path(sys.argv[2]))
server = listen(console, "/look")
print(server.address, flush=True)
server.run()
"""


@contextmanager
def process(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A console in a process of its own, and the address that it prints."""
    command = [sys.executable, "-c", PROCESS, BUCKET, str(folder)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip(), running
        finally:
            running.kill()


def test_a_console_that_is_killed_in_the_middle_loses_and_repeats_nothing(
    page: "Page", console_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with aws.serve() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        bucket = Bucket(boto3.client("s3"), BUCKET)
        bucket.client.create_bucket(Bucket=BUCKET)
        fill(bucket)
        console_folder.mkdir()
        with process(console_folder) as (address, running):
            begin(page, address)
            press(page, *"2n3n2n3n")
            running.kill()
            press(page, "2", "n")
            page.get_by_text("They are kept in this browser.").wait_for()
        tab = page.context.new_page()
        page.close()
        with process(console_folder) as (address, _):
            begin(tab, address)
            tab.get_by_text("Waiting to be stored").wait_for(state="detached")
            kept = "Object.keys(localStorage).filter((key) => key.startsWith('sortbox-correction'))"
            tab.wait_for_function(f"{kept}.length === 0")
        labels = ["dress", None, EVIL, None, "dress", None, EVIL, None, "dress", None]
        assert [(one.image[6:8], one.to) for one in stored_in(bucket)] == [
            (f"{number:02}", label) for number, label in enumerate(labels)
        ]


def test_two_tabs_send_one_decision_once_and_hear_of_each_other(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    with serve(console, "/look") as served:
        begin(page, served.address)
        tab = page.context.new_page()
        begin(tab, f"{served.origin}/look")
        press(page, "2", "n", "3")
        wait_for_stored(page, 3)
        tab.locator(".answer.corrected").nth(2).wait_for()
        assert len(stored(console)) == 3
        press(tab, "1")
        wait_for_stored(tab, 1)
        page.locator(".answer.corrected", has_text="skirt").wait_for()
        assert words(console)[-1] == ("00", "skirt")
        assert stored(console)[-1].name > stored(console)[0].name


def test_an_image_that_was_replaced_since_is_not_corrected_and_that_is_said(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    with serve(console, "/look") as served:
        begin(page, served.address)
        console.bucket.put("inbox/00.jpg", jpeg(99))
        press(page, "2", "2")
        page.locator("#correct").get_by_text("00.jpg has been replaced by another image").wait_for()
        wait_for_stored(page, 1)
        assert words(console) == [("01", "dress")]


def test_two_people_who_differ_are_shown_and_one_confirms(
    page: "Page", page_errors: list[str], console: Console
) -> None:
    with serve(console, "/look") as served:
        begin(page, served.address)
        press(page, "2")
        wait_for_stored(page, 1)
        (mine,) = stored(console)
        name = f"29{mine.name[2:]}"
        other = replace(mine, name=name, to="coat", who="bob")
        console.bucket.put(other.key, to_json(other))
        press(page, "ArrowLeft")
        panel = page.locator("#correct")
        panel.get_by_text("Press c to confirm the newer one").wait_for()
        assert "moto says dress" in panel.inner_text()
        assert "coat, bob" in panel.inner_text()
        press(page, "c")
        wait_for_stored(page, 2)
        press(page, "ArrowLeft")
        panel.get_by_text("Corrected: coat, moto").wait_for()
        assert [one.to for one in stored(console)] == ["dress", "coat", "coat"]
        assert stored(console)[-1].who == "moto", "later than the other, whose clock is ahead"


def test_nothing_serious_is_found_beside_the_gallery(
    look_page: "Page", assert_accessible: AssertAccessible, console: Console
) -> None:
    with serve(console, "/look") as served:
        begin(look_page, served.address)
        press(look_page, "2", "/")
        look_page.keyboard.type("s")
        look_page.locator("#correct-matches li").first.wait_for()
        assert_accessible(look_page, "while a label is typed")
        press(look_page, "Escape", "/")
        look_page.keyboard.type("drses")
        press(look_page, "Enter")
        look_page.get_by_role("dialog").get_by_role("button", name="dress").wait_for()
        assert_accessible(look_page, "while a label is questioned")
