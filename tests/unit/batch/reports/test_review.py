"""What a person looks at, and how corrections come back as a folder of classes."""

import csv
import io
from pathlib import Path

import pytest

from aws.bucket import Bucket
from batch.outcome import Predicted
from batch.reports import review
from batch.reports.review import Review, key_of
from domain.class_folders import folder_of
from domain.reply import Label
from domain.scope import RECLASSIFICATION, Scope
from domain.tables.reader import TableError
from domain.tables.writer import BOM
from infra.review.corrections import corrected_only
from infra.review.fetch import fetch, file_name, unique_name
from infra.review.lists import ReviewEntry, ReviewError, parse, read_lists, select
from tests.support.builders.pages import HOSTILE
from tests.support.worlds.folders import World, with_late
from training.data.folders import read_layout

UNSURE = {"inbox/trip/a.jpg": b"1:cat:0.3", "inbox/trip/b.jpg": b"1:dog:0.1"}
SURE = {f"inbox/trip/{number}.jpg": b"1:cat:0.9 %d" % number for number in range(40)}


@pytest.fixture
def world() -> World:
    world = World(settings=with_late(0))
    for key, body in (UNSURE | SURE).items():
        world.put(key, body)
    world.run("trip/")
    return world


def bucket(world: World) -> Bucket:
    return world.cloud.bucket


def table(world: World, scope: Scope) -> list[dict[str, str]]:
    text = world.s3.objects[key_of(scope)].body.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_low_scores_come_first_and_then_a_random_few(world: World) -> None:
    rows = table(world, Scope("trip/"))
    low = [(row["image"], row["label"]) for row in rows if row["why"] == "low score"]
    assert low == [("inbox/trip/b.jpg", "dog"), ("inbox/trip/a.jpg", "cat")]
    drawn = [row["image"] for row in rows if row["why"] == "sample"]
    assert review.SAMPLE - 2 <= len(drawn) <= review.SAMPLE
    assert set(drawn) <= set(SURE)
    assert drawn != sorted(SURE)[: len(drawn)], "drawn, and not the first ones"


def test_what_the_model_is_unsure_of_comes_before_low_scores() -> None:
    """Its promise covers what it accepts: the others are for a person, whatever their score."""
    listed = Review(below=0.5)
    for number in range(2 * review.MOST_UNSURE):
        listed.add(Predicted(f"inbox/{number}", "e", (Label("a", 0.4),), "m:1", "t"))
    for score in (0.9, 0.6):
        image = f"inbox/unsure-{score}"
        listed.add(Predicted(image, "e", (Label("a", score),), "m:1", "t", decision="unsure"))
    resumed = Review(below=0.5)
    resumed.resume(listed.to_json())
    for text in (listed.table(), resumed.table()):
        rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
        assert [(row["score"], row["why"]) for row in rows[:3]] == [
            *(("0.6", "unsure"), ("0.9", "unsure"), ("0.4", "low score"))
        ]


def test_several_lists_are_in_the_order_of_one(world: World) -> None:
    for folder, reasons in {"y/": review.REASONS, "z/": review.REASONS[::-1]}.items():
        rows = [",".join(review.COLUMNS)]
        rows += [f"inbox/{folder}{n}.jpg,pets:1,e,cat,0.6,{why}," for n, why in enumerate(reasons)]
        world.put(key_of(Scope(folder)), "\n".join(rows).encode())
    entries, _ = select(bucket(world), "", "any")
    listed = [entry.why for entry in entries]
    assert set(listed) == set(review.REASONS)
    assert listed == sorted(listed, key=review.REASONS.index)


def test_a_sweep_lists_what_it_answered(world: World) -> None:
    world.s3.clock.tick(3600)
    world.promote(2)
    world.sweep()
    world.finish_jobs()
    assert key_of(Scope("", "renewal")) == f"outbox/_review/{RECLASSIFICATION}.csv"
    assert len(table(world, Scope("", "renewal"))) == review.SAMPLE


def test_a_list_is_bounded() -> None:
    listed = Review(below=0.5)
    for number in range(review.MOST_UNSURE + 100):
        labels = (Label("cat", 0.4 - number / 10_000),)
        listed.add(Predicted(f"inbox/{number}", "e", labels, "m", "t"))
    text = listed.table().removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert review.MOST_UNSURE <= len(rows) <= review.MOST_UNSURE + review.SAMPLE
    assert rows[0]["image"] == f"inbox/{review.MOST_UNSURE + 99}"


def test_the_listed_images_are_a_folder_that_training_takes(world: World, tmp_path: Path) -> None:
    done = fetch(bucket(world), read_lists(bucket(world)), tmp_path / "review")
    assert done.fetched == len(table(world, Scope("trip/")))
    classes = read_layout(tmp_path / "review").splits
    assert set(classes["train"]) == {"cat", "dog"}
    (dog,) = (tmp_path / "review" / "dog").iterdir()
    assert dog.read_bytes() == UNSURE["inbox/trip/b.jpg"]


def test_only_what_was_corrected_is_taken_from_a_list(world: World, tmp_path: Path) -> None:
    text = world.s3.objects[key_of(Scope("trip/"))].body.decode()
    filled = text.replace("0.1,low score,", "0.1,low score,wolf").replace(
        "0.3,low score,", "0.3,low score, cat "
    )
    done = fetch(bucket(world), corrected_only(parse(filled.encode(), "list.csv")[0]), tmp_path)
    assert (done.fetched, done.changed) == (2, 0)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["cat", "wolf"]


def test_an_image_that_has_changed_since_is_left_out(world: World, tmp_path: Path) -> None:
    world.put("inbox/trip/b.jpg", b"another picture")
    world.remove("inbox/trip/a.jpg")
    done = fetch(bucket(world), read_lists(bucket(world)), tmp_path)
    assert (done.changed, done.missing) == (1, 1)
    assert [*done.sentences(tmp_path)][1:] == [
        "Left out, because they have changed since they were listed: 1.",
        "Left out, because they are not in the inbox: 1.",
    ]
    assert not (tmp_path / "dog").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no column image, etag, corrected; it is empty"),
        ("a,b\n1,2\n", "has no column image, etag, corrected; it begins with 'a,b'"),
        ("image,etag,label,score,why,corrected\n/etc/passwd,e,cat,1,x,dog\n", "names no image"),
    ],
)
def test_a_table_that_is_no_list_is_refused(text: str, why: str) -> None:
    with pytest.raises((ReviewError, TableError), match=why):
        parse(text.encode(), "list.csv")


LABELS = ["Äpfel", "кот", "_misc", "cat", "Cat", "test", "weights", "and/or", "50%25", "x" * 300]


def listed(world: World, image: str, label: str) -> ReviewEntry:
    head = bucket(world).head(image)
    assert head is not None
    return ReviewEntry(image, head.listed.etag, "", label=label)


def test_training_reads_the_labels_that_were_reviewed(world: World, tmp_path: Path) -> None:
    images = list(zip(SURE, LABELS, strict=False))
    for start in (0, 5):  # the second call goes on in the same folder
        some = (listed(world, *one) for one in images[start : start + 5])
        assert fetch(bucket(world), some, tmp_path / "review").fetched == 5
    found = read_layout(tmp_path / "review").splits
    assert sorted(found["train"]) == sorted(LABELS)
    for image, label in images:
        [name] = found["train"][label]
        assert (tmp_path / "review" / name).read_bytes() == SURE[image]


def test_no_image_is_put_through_a_link(world: World, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for label in ("cat", "x" * 300):
        out = tmp_path / f"out{len(label)}"
        out.mkdir()
        (out / folder_of(label).parts[0]).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(ReviewError, match="is a link"):
            fetch(bucket(world), iter([listed(world, next(iter(SURE)), label)]), out)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("image", [*HOSTILE, "..", ".", "", "a/../../b", "-rf", "con\x00"])
def test_a_hostile_name_is_one_plain_name(image: str, tmp_path: Path) -> None:
    for number, name in enumerate((file_name(f"inbox/{image}"), unique_name(f"inbox/{image}"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert (folder / name).resolve().parent == folder.resolve()
        (folder / name).mkdir()


def test_unknown_images_come_first_whatever_their_score_and_are_bounded() -> None:
    reports = Review()
    for number in range(review.MOST_UNKNOWN + 100):
        image = f"inbox/{number:04}"
        reports.add(Predicted(image, "e", (Label("a", 0.9),), "m:1", "t", decision="unknown"))
    reports.add(Predicted("inbox/low", "e", (Label("a", 0.1),), "m:1", "t", decision="unsure"))
    resumed = Review()
    resumed.resume(reports.to_json())
    rows = list(csv.DictReader(io.StringIO(resumed.table().removeprefix(BOM))))
    assert resumed.table() == reports.table()
    assert [row["why"] for row in rows[: review.MOST_UNKNOWN]] == ["unknown"] * review.MOST_UNKNOWN
    assert rows[review.MOST_UNKNOWN]["image"] == "inbox/low"
    assert len({row["image"] for row in rows}) == len(rows), "each image once"
