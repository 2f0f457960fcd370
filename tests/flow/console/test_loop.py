"""The whole loop by the console in Chromium: drop, see, correct, train, promote, renew, compare."""

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.flow.support.drive import Cloud, eventually
from tests.flow.support.pages import ACTION_SECONDS, confirm, go, train, wait_for_done
from tests.support.builders import learnable

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.flow, pytest.mark.slow]

LABELS = {"cat": "cat", "cup": "coffee", "moped": "motorcycle"}
FOLDER = "loop"
PHOTOS = {f"{label}.jpg": label for label in LABELS}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The data that the first model is trained on, and the photos that are dropped, beside."""
    for split, count in {"train": 8, "validation": 3, "test": 8}.items():
        learnable.folder(tmp_path / "data" / split, LABELS, count, split)
    (tmp_path / FOLDER).mkdir()
    for name, label in PHOTOS.items():
        (tmp_path / FOLDER / name).write_bytes(learnable.crop(LABELS[label], "loop"))
    return tmp_path


def test_a_model_is_trained_on_corrections_and_renews_every_answer(
    page: "Page", cloud: Cloud, photos: Path
) -> None:
    drop(page, photos / FOLDER)
    for name in PHOTOS:
        cloud.answered(f"inbox/{FOLDER}/{name}")
    correct_all(page)

    go(page, "/train")
    page.get_by_text("Images that people have corrected: 3").wait_for()
    values = {"name": "loop", "epochs": "6", "lr": "0.01", "batch_size": "8"}
    train(page, str(photos / "data"), with_corrections=True, **values)
    lines = wait_for_done(page)
    assert "New images: 3; with another class than before: 0" in lines
    [job] = set(re.findall(r"^job: (\S+)", lines, re.MULTILINE))

    go(page, f"/train?job={job}")
    page.get_by_role("img", name=re.compile("^Accuracy: train ")).wait_for()
    page.get_by_role("link", name="Report", exact=True).click()
    page.get_by_role("heading").first.wait_for()
    assert "accuracy" in page.inner_text("body").lower()

    go(page, f"/models?job={job}")
    page.get_by_role("button", name="Preview …").click()
    confirm(page, "Preview")
    wait_for_done(page)
    page.get_by_role("link", name="What would change").click()
    page.get_by_role("heading").first.wait_for()

    go(page, f"/models?job={job}")
    page.get_by_label("It may have other labels than the active model").check()
    page.get_by_role("button", name="Promote …").click()
    confirm(page, "Promote")
    assert "active: loop:1" in wait_for_done(page)

    go(page, "/models")
    page.get_by_text("loop:1").first.wait_for()
    page.get_by_label("Below").fill(f"inbox/{FOLDER}/")
    page.get_by_role("button", name="Dry run").click()
    page.get_by_text(f"As the dry run of inbox/{FOLDER}/ counted.").wait_for()
    page.get_by_role("button", name="Reclassify …").click()
    assert "3 to be answered" in page.get_by_role("dialog").inner_text(), "the count comes first"
    confirm(page, "Reclassify")
    assert "Started." in wait_for_done(page)

    for name, label in PHOTOS.items():
        key = f"inbox/{FOLDER}/{name}"
        eventually(partial(has_label, cloud, key, label), f"{key} renewed")
    report = page.locator("#runs").get_by_role("row").filter(has_text=FOLDER)
    report.get_by_role("link", name="change report").first.click(timeout=2 * ACTION_SECONDS * 1000)
    page.get_by_role("heading").first.wait_for()
    changed = page.inner_text("body")
    assert all(label in changed for label in LABELS), changed


def has_label(cloud: Cloud, key: str, label: str) -> bool | None:
    return cloud.label(key) == label or None


def drop(page: "Page", folder: Path) -> None:
    """By the page: the files of a folder, which starts by itself when the last one is there."""
    go(page, "/drop")
    page.locator("#folder").set_input_files(str(folder))


def correct_all(page: "Page") -> None:
    """By keyboard: the name says what each photo shows, and the model does not know the labels."""
    go(page, f"/look?folder=inbox%2F{FOLDER}%2F&sort=name")
    page.locator("#gallery").get_by_role("option").nth(len(PHOTOS) - 1).wait_for()
    page.locator("#gallery").focus()
    page.keyboard.press("Home")
    page.locator("#correct").wait_for()
    for label in sorted(LABELS):
        page.keyboard.press("/")
        page.keyboard.type(label)
        page.keyboard.press("Enter")
        new_class(page).click()
    page.get_by_text("Stored: 3.").wait_for()


def new_class(page: "Page") -> "Locator":
    return page.get_by_role("button", name="It is a new class")
