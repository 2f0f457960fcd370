"""Pages for people: whatever names and labels are, they stay text; and a page stays small."""

from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from batch.claim import Run
from batch.outcome import Predicted, PreviousAnswer, Refusal
from batch.reports import change_page, folder_page
from batch.reports.changes import Changes
from batch.reports.folder_page import Gallery
from domain.model import Decision
from domain.reply import Label
from tests.support.builders.pages import HOSTILE, Page

JPEG = b"\xff\xd8\xff" + bytes(5_000)
KEY = "outbox/trip/_report.html"


def predicted(name: str, label: str, score: float = 0.5) -> Predicted:
    labels = (Label(label, score), Label("something else", 0.1), Label("nothing", 0.05))
    return Predicted(f"inbox/trip/{name}", "e", labels, "m", "t")


def summary(gallery: Gallery, labels: dict[str, int], classified: int = 0) -> dict[str, Any]:
    return {
        "folder": "inbox/trip/",
        "images": 10,
        "classified": classified or len(gallery.unsure),
        "rejected": len(gallery.refused),
        "unanswered": 0,
        "ignored": 0,
        "ignored_reasons": {},
        "ignored_files": [],
        "unlisted": 1,
        "labels": labels,
    }


def folder(*answers: Predicted | Refusal, labels: dict[str, int] | None = None) -> str:
    gallery = Gallery()
    for answer in answers:
        gallery.add(answer)
    told = summary(gallery, labels or {"cat": 3})
    return folder_page.page(KEY, told, gallery, lambda key: JPEG)


def changed(names: list[str]) -> str:
    changes = Changes()
    for name in names:
        before = PreviousAnswer(name, 0.5, name)
        changes.add(predicted(name, f"new {name}"), before)
        changes.add(Refusal(f"inbox/{name}", "e", name, name, name, "t"), None)
    run = Run(f"{names[0]}/", "0123456789", "2026-01-01T00:00:00", first=False, kind="renewal")
    return change_page.page(run, changes, lambda key: JPEG)


def test_hostile_names_and_labels_stay_text_in_a_folder_s_page() -> None:
    answers = [predicted(name, name) for name in HOSTILE]
    refusals = [Refusal(f"inbox/trip/{name}", "e", name, name, "m", "t") for name in HOSTILE]
    page = Page(folder(*answers, *refusals, labels=dict.fromkeys(HOSTILE, 1)))
    page.check()
    assert {unquote(link) for link in page.links} == {f"../../inbox/trip/{n}" for n in HOSTILE}


def test_hostile_names_and_labels_stay_text_in_a_change_page() -> None:
    page = Page(changed(HOSTILE))
    page.check()
    assert {unquote(link) for link in page.links} == {f"../../../inbox/trip/{n}" for n in HOSTILE}


def test_nothing_is_loaded_from_anywhere() -> None:
    for page in (folder(predicted("a", "cat")), changed(["a"])):
        assert "default-src 'none'; img-src data:" in page
        assert "http://" not in page
        assert "https://" not in page


def test_the_least_sure_come_first() -> None:
    page = folder(predicted("sure", "a", 0.9), predicted("unsure", "b", 0.2), predicted("so", "c"))
    assert page.index("/unsure") < page.index("/so") < page.index("/sure")


def test_what_the_model_is_unsure_of_comes_before_low_scores_and_says_so() -> None:
    gallery = Gallery()
    decided: dict[str, tuple[float, Decision | None]] = {
        "accepted": (0.1, "accepted"),
        "surer": (0.8, "unsure"),
        "doubted": (0.7, "unsure"),
        "undecided": (0.2, None),
    }
    for name, (score, decision) in decided.items():
        gallery.add(replace(predicted(name, "cat", score), decision=decision))
    document = summary(gallery, {"cat": 4}, 4) | {"decisions": {"accepted": 1, "unsure": 2}}
    page = folder_page.page(KEY, document, gallery, lambda key: JPEG)
    places = [page.index(f"/trip/{name}") for name in ("doubted", "surer", "accepted", "undecided")]
    assert places == sorted(places)
    assert page.count("<b>unsure</b>") == 2


def test_unknown_images_have_a_section_of_their_own() -> None:
    gallery = Gallery()
    strange = replace(predicted("strange", "cat", 0.9), decision="unknown")
    for answer in (predicted("unsure", "b", 0.2), strange):
        gallery.add(answer)
    resumed = Gallery()
    resumed.resume(gallery.to_json())
    document = summary(resumed, {"cat": 1}, 2) | {"decisions": {"unknown": 1}}
    page = folder_page.page(KEY, document, resumed, lambda key: JPEG)
    assert page.index("<h2>Unknown</h2>") < page.index("/strange") < page.index("/unsure")
    assert "/strange" not in page.partition("<h2>The least sure first</h2>")[2]


@pytest.mark.parametrize("name", ["photo.jpg", "<" * 1000])
def test_ten_thousand_images_are_a_page_of_less_than_five_megabytes(name: str) -> None:
    answers = [predicted(f"{each}{name}", "a label", each / 10_000) for each in range(10_000)]
    refusals = [Refusal(f"inbox/{n}{name}", "e", "c", "m" * 300, "m", "t") for n in range(5_000)]
    page = folder(*answers, *refusals)
    assert len(page.encode()) < 5_000_000
    Page(page).check()
    assert "more are in predictions.csv" in page or name == "photo.jpg"


def test_what_a_gallery_holds_is_bounded_and_the_surest_are_left_out() -> None:
    gallery = Gallery()
    for each in range(folder_page.MOST_CARDS + 100):
        gallery.add(predicted(str(each), "a", 1 - each / 20_000))
    kept = gallery.least_sure_first
    assert len(kept) == folder_page.MOST_CARDS
    assert kept[0].image.endswith("/10099")
    assert kept[-1].image.endswith("/100")


def test_a_sweep_with_nothing_to_show_has_a_page_all_the_same() -> None:
    run = Run("", "0123456789", "2026-01-01T00:00:00", first=False, kind="renewal")
    Page(change_page.page(run, Changes(), lambda key: None)).check()


def test_an_empty_folder_has_a_page_all_the_same() -> None:
    page = folder_page.page(KEY, summary(Gallery(), {}), Gallery(), lambda key: None)
    Page(page).check()
