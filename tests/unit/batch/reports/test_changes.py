"""What a sweep changed: flips, from which label to which, and how the scores moved."""

import csv
import io
import json
from typing import Any

import pytest

from batch.outcome import Answer, Predicted, PreviousAnswer, Refusal, Unanswered
from batch.reports import changes
from batch.reports.changes import OTHERS, Changes, merge_attempts
from domain.keys import SWEEPS
from domain.reply import Label
from tests.support.worlds.folders import World, with_late

IMAGES = {
    "inbox/a.jpg": b"1:cat:0.9 2:dog:0.8",
    "inbox/b.jpg": b"1:cat:0.6 2:cat:0.7",
    "inbox/trip/c.jpg": b"1:cat:0.5 2:dog:0.99",
    "inbox/trip/d.jpg": b"1:dog:0.5 2:cat:0.4",
    "inbox/trip/e.jpg": b"1:dog:0.9 2:dog:0.6",
    "inbox/trip/no.jpg": b"junk",
}


@pytest.fixture
def world() -> World:
    world = World(settings=with_late(0))
    for key, body in IMAGES.items():
        world.put(key, body)
    world.answer(*IMAGES)
    world.s3.clock.tick(3600)
    world.promote(2)
    return world


def swept(world: World) -> World:
    world.sweep()
    world.finish_jobs()
    return world


def file(world: World, name: str) -> str:
    (key,) = [key for key in world.s3.objects if key.startswith(SWEEPS) and key.endswith(name)]
    return world.s3.objects[key].body.decode()


def summary(world: World) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(file(world, "_summary.json"))
    return told


def test_flips_are_counted_from_which_label_to_which(world: World) -> None:
    told = summary(swept(world))
    assert (told["images"], told["renewed"], told["flipped"]) == (6, 6, 3)
    assert told["flipped_percent"] == 50
    assert told["before"] == {"cat": 3, "dog": 2, "not_an_image": 1}
    assert told["after"] == {"dog": 3, "cat": 2}
    assert {(each["from"], each["to"]): each["images"] for each in told["matrix"]} == {
        ("cat", "dog"): 2,
        ("cat", "cat"): 1,
        ("dog", "cat"): 1,
        ("dog", "dog"): 1,
        ("not_an_image", "not_an_image"): 1,
    }
    assert told["codes"] == {"not_an_image": 1}


def test_the_shift_of_scores_is_of_those_whose_label_stayed(world: World) -> None:
    told = summary(swept(world))
    assert told["mean_score_shift"] == pytest.approx((0.1 - 0.3) / 2)
    assert sum(told["scores_before"]) == 5
    assert told["scores_after"][19] == 1


def test_the_flips_are_in_a_table(world: World) -> None:
    rows = list(
        csv.DictReader(
            io.StringIO(file(swept(world), "flips.csv").removeprefix("\ufeff"), newline="")
        )
    )
    assert [(row["image"], row["before"], row["after"]) for row in rows] == [
        ("inbox/a.jpg", "cat", "dog"),
        ("inbox/trip/c.jpg", "cat", "dog"),
        ("inbox/trip/d.jpg", "dog", "cat"),
    ]


def test_the_surest_flip_is_shown_first_with_its_picture(world: World) -> None:
    world.thumbnails["inbox/trip/c.jpg"] = b"\xff\xd8\xff picture"
    page = file(swept(world), "_report.html")
    shown = [key for key in IMAGES if f'href="../../../{key}"' in page]
    assert shown == ["inbox/a.jpg", "inbox/trip/c.jpg", "inbox/trip/d.jpg"]
    assert page.index("trip/c.jpg") < page.index("inbox/a.jpg") < page.index("trip/d.jpg")
    assert page.count("data:image/jpeg;base64,/9j/") == 1


def test_an_image_without_an_answer_before_is_a_first_one(world: World) -> None:
    world.put("inbox/new.jpg", b"2:cat:0.9")
    world.s3.clock.tick(3600)
    told = summary(swept(world))
    assert (told["images"], told["first_answers"], told["renewed"]) == (7, 1, 6)


def test_a_daily_sweep_that_finds_nothing_leaves_its_status_and_no_report(world: World) -> None:
    world.sweep(kind="unanswered")
    (left,) = [key for key in world.s3.objects if key.startswith(SWEEPS)]
    assert left.endswith("_status.json")


def test_many_flips_raise_an_alarm(world: World, counted: dict[str, Any]) -> None:
    swept(world)
    assert "ManyFlipped" in counted


def predicted(
    image: str, label: str, before: PreviousAnswer | None = None, etag: str = "e"
) -> Predicted:
    return Predicted(image, etag, (Label(label, 0.5),), "m2", "t", before)


def test_an_image_that_was_answered_twice_in_a_sweep_is_counted_once_and_the_whole_way() -> None:
    first, second = PreviousAnswer("cat", 0.5, "m1"), PreviousAnswer("dog", 0.5, "m2")
    told: list[Answer] = [
        predicted("a", "fox", second),
        predicted("a", "dog", first),
        Unanswered("b", "e", "why"),
        Unanswered("c", "e", "why"),
        predicted("c", "cat", first),
    ]
    assert list(merge_attempts(told)) == [
        (told[0], first),
        (told[2], None),
        (told[4], first),
    ]


def test_what_was_said_of_an_earlier_image_under_the_same_key_does_not_count() -> None:
    earlier = predicted("a", "dog", PreviousAnswer("cat", 0.5, "m1"), etag="old")
    assert list(merge_attempts([predicted("a", "dog"), earlier])) == [(predicted("a", "dog"), None)]


def test_any_number_of_labels_is_counted_in_bounded_memory() -> None:
    counted = Changes()
    for number in range(changes.MOST_PAIRS + 1000):
        before = PreviousAnswer(f"old {number}", 0.5, "m1")
        counted.add(predicted(f"{number}", f"new {number}", before), before)
    assert len(counted.after) == changes.MOST_COUNTED + 1
    assert len(counted.matrix) == changes.MOST_PAIRS + 1
    assert counted.after[OTHERS] == changes.MOST_PAIRS + 1000 - changes.MOST_COUNTED
    assert len(counted.flips) == changes.MOST_FLIPS
    assert counted.flipped == changes.MOST_PAIRS + 1000


def test_a_label_that_became_a_rejection_is_a_flip() -> None:
    counted, before = Changes(), PreviousAnswer("cat", 0.5, "m1")
    counted.add(Refusal("a", "e", "not_an_image", "why", "m2", "t"), before)
    assert (counted.flipped, counted.rejected) == (1, 1)
    assert dict(counted.matrix) == {("cat", "not_an_image"): 1}
