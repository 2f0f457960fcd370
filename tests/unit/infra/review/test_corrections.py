"""A person's labels: classes, mistypings and new classes; lists by folder and model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aws.bucket import Bucket
from batch.reports.review import key_of
from domain.foreign import escape_cell
from domain.keys import ACTIVE_MODEL, archive_key
from domain.model import ActiveModel, ModelId
from domain.scope import Scope
from infra.review import lists
from infra.review.corrections import KnownClasses, active_labels, settle
from infra.review.fetch import PersonsList, fetch, fetch_corrected, unique_name
from infra.review.lists import ReviewEntry, ReviewError, ReviewFilter
from tests.support.builders.packed import archive_of_labels
from tests.support.fakes.aws import FakeS3

LABELS = ("skirt", "dress", "tiger cat", "Cat", "cat", "mother's ruin", "007", "パンツ")
IMAGES = {
    "inbox/trip/IMG_1027.JPG": b"one",
    "inbox/trip/day 2/IMG_1027.JPG": b"two",
    "inbox/trip/ä/パンツ & ü.jpg": b"three",
    "inbox/camp/IMG_1027.JPG": b"four",
}


def stage(labels: tuple[str, ...] = LABELS, weights: bytes = b"") -> Bucket:
    s3: Any = FakeS3()
    bucket = Bucket(s3, "bucket")
    model = ModelId("pets", 2, f"sha256:{'1' * 64}")
    if labels:
        bucket.put(ACTIVE_MODEL, ActiveModel(model, "endpoint", "model", "2026-01-01").to_json())
        bucket.put(archive_key(model), archive_of_labels(labels, {"weights.safetensors": weights}))
    for key, body in IMAGES.items():
        bucket.put(key, body)
    return bucket


def etag(bucket: Bucket, image: str) -> str:
    head = bucket.head(image)
    assert head is not None
    return head.listed.etag


def filled(bucket: Bucket, path: Path, corrections: dict[str, str], separator: str = ";") -> Path:
    lines = ["image;etag;label;corrected".replace(";", separator)]
    for image, label in corrections.items():
        cells = (image, etag(bucket, image), "skirt", escape_cell(label))
        lines.append(separator.join(f'"{cell}"' for cell in cells))
    path.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    return path


def correct(
    bucket: Bucket, folder: Path, corrections: dict[str, str], **answers: Any
) -> dict[str, list[str]]:
    """The files by class that the corrections lead to."""
    path = filled(bucket, folder / "list.csv", corrections)
    fetch_corrected(bucket, PersonsList(path, **answers), ReviewFilter(), folder / "review")
    return {
        found.name: sorted(file.name for file in found.iterdir())
        for found in sorted((folder / "review").iterdir())
    }


ONE, TWO, THREE, FOUR = IMAGES


def test_the_labels_of_the_active_model_are_read_from_its_archive() -> None:
    assert active_labels(stage()) == LABELS
    assert active_labels(stage(weights=bytes(3_000_000))) == LABELS, (
        "SageMaker may pack the card last"
    )
    assert active_labels(stage(())) == ()


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("skirt", "skirt"),
        ("  Skirt ", "skirt"),
        ("ＳＫＩＲＴ", "skirt"),
        ("Tiger  CAT", "tiger cat"),
        ("tiger\u00a0cat", "tiger cat"),
        ("mother’s ruin", "mother's ruin"),
        ("Cat", "Cat"),
        ("cat", "cat"),
        ("パンツ", "パンツ"),
    ],
)
def test_case_blanks_and_quotes_make_no_new_class(text: str, label: str, tmp_path: Path) -> None:
    assert [*correct(stage(), tmp_path, {ONE: text})] == [label]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("skrit", "'skrit': did you mean 'skirt'?"),
        ("dres", "'dres': did you mean 'dress'?"),
        ("tigercat", "did you mean 'tiger cat'?"),
        ("CAT", "'CAT' may be 'Cat' or 'cat'"),
        ("hoodie", "'hoodie' is no class"),
        ("../../x", "'../../x' is no class"),
        ("7", "'7' is no class"),
        (";dress", "';dress': did you mean 'dress'?"),
    ],
)
def test_a_label_that_is_no_class_is_questioned(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ReviewError) as refusal:
        correct(stage(), tmp_path, {ONE: "dress", TWO: text})
    assert sentence in str(refusal.value)
    assert "--new-class LABEL" in str(refusal.value)
    assert not (tmp_path / "review").exists(), "nothing is downloaded before all are settled"


def test_many_questions_are_one_short_sentence() -> None:
    entries = [ReviewEntry("inbox/a", "e", f"class {number}") for number in range(1000)]
    with pytest.raises(ReviewError, match="and 990 more") as refusal:
        settle(entries, KnownClasses.of(["skirt"]), None)
    assert len(str(refusal.value)) < 600


def test_a_new_class_is_named_and_then_spelled_in_one_way(tmp_path: Path) -> None:
    corrections = {ONE: "Hoodie", TWO: "hoodie ", THREE: "HOODIE"}
    assert correct(stage(), tmp_path, corrections, new_classes=("Hoodie",)) == {
        "Hoodie": [unique_name(TWO), "IMG_1027.JPG", "パンツ & ü.jpg"]
    }
    again = correct(stage(), tmp_path, {FOUR: "hoodie"})
    assert len(again["Hoodie"]) == 4, "a class that the folder has already is known"


@pytest.mark.parametrize("label", ["", "  ", "a\nb", "\u202egpj", "x" * 1001])
def test_a_class_that_no_model_can_have_is_refused(label: str, tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="cannot be a class"):
        correct(stage(), tmp_path, {ONE: "dress"}, new_classes=(label,))


def person(**answers: bool) -> tuple[Callable[[str], bool], list[str]]:
    questions: list[str] = []

    def ask(question: str) -> bool:
        questions.append(question)
        return next(answer for word, answer in answers.items() if word in question)

    return ask, questions


def test_a_person_at_a_terminal_is_asked_once_for_each_label(tmp_path: Path) -> None:
    ask, questions = person(mean=True)
    corrections = {ONE: "skrit", TWO: "skrit", THREE: "dress"}
    assert [*correct(stage(), tmp_path, corrections, ask=ask)] == ["dress", "skirt"]
    assert questions == ["'skrit' is no class. Did you mean 'skirt'?"]


def test_a_person_may_confirm_a_new_class_or_end_it(tmp_path: Path) -> None:
    ask, questions = person(mean=False, new=True)
    assert [*correct(stage(), tmp_path, {ONE: "skort", TWO: "Skort"}, ask=ask)] == ["skort"]
    assert questions[-1] == "Is 'skort' a new class?"
    ask, _ = person(mean=False, new=False)
    with pytest.raises(ReviewError, match="Nothing was downloaded: correct 'shirt' in the list"):
        correct(stage(), tmp_path, {ONE: "shirt"}, ask=ask)


def test_a_list_without_corrections_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"No row of .* has an entry in its column `corrected`"):
        correct(stage(), tmp_path, {ONE: "", TWO: "  "})


def test_images_that_a_wrong_encoding_hides_are_explained(tmp_path: Path) -> None:
    bucket = stage()
    path = filled(bucket, tmp_path / "list.csv", {ONE: "dress", THREE: "dress"})
    path.write_bytes(path.read_text("utf-8-sig").encode("cp932", "replace"))
    counts = fetch_corrected(bucket, PersonsList(path), ReviewFilter(), tmp_path / "review")
    assert (counts.fetched, counts.missing) == (1, 1)
    assert "read as cp1252. If names in it look wrong" in [*counts.sentences(tmp_path)][-1]


def test_without_a_model_the_labels_of_the_list_are_the_classes(tmp_path: Path) -> None:
    assert [*correct(stage(()), tmp_path, {ONE: "Skirt"})] == ["skirt"]
    with pytest.raises(ReviewError, match="'dress' is no class"):
        correct(stage(()), tmp_path, {ONE: "dress"})


def test_names_are_kept_and_no_image_replaces_another(tmp_path: Path) -> None:
    bucket, out = stage(), tmp_path / "review"
    entries = [ReviewEntry(image, etag(bucket, image), "dress") for image in IMAGES]
    for order in (entries, entries[::-1]):
        assert fetch(bucket, order, out).fetched == 4
    names = sorted(path.name for path in (out / "dress").iterdir())
    assert names[-2:] == ["IMG_1027.JPG", "パンツ & ü.jpg"]
    assert all(name.endswith("-IMG_1027.JPG") for name in names[:2])
    assert sorted(path.read_bytes() for path in (out / "dress").iterdir()) == sorted(
        IMAGES.values()
    )


LIST = """image,model,etag,label,score,why,corrected\r
inbox/trip/a.jpg,pets:2,e1,skirt,0.25,low score,\r
inbox/trip/b.jpg,imagenet:2,e2,tripod,0.1,low score,\r
inbox/trip2/c.jpg,pets:1,e3,skirt,0.3,sample,\r
"""
OLD = "image,etag,label,score,why,corrected\r\ninbox/camp/d.jpg,e4,tripod,0.1,sample,\r\n"


def listed() -> Bucket:
    bucket = stage()
    bucket.put(key_of(Scope("trip/")), LIST)
    bucket.put(key_of(Scope("", "renewal")), OLD)
    return bucket


@pytest.mark.parametrize(
    ("folder", "model", "images"),
    [
        ("", "active", "a"),
        ("", "", "a"),
        ("", "any", "abcd"),
        ("", "pets", "ac"),
        ("", "pets:1", "c"),
        ("trip", "any", "ab"),
        ("inbox/trip/", "any", "ab"),
        ("/trip/", "imagenet", "b"),
    ],
)
def test_lists_are_filtered_by_folder_and_model(folder: str, model: str, images: str) -> None:
    entries, left_out = lists.select(listed(), folder, model)
    assert sorted(entry.image[-5] for entry in entries) == list(images)
    total = 2 if folder else 4
    assert left_out == total - len(images)


def test_a_folder_without_a_list_is_a_sentence() -> None:
    with pytest.raises(ReviewError, match="No answers below inbox/tripp/ are listed for review"):
        lists.select(listed(), "tripp", "any")


def test_a_folders_list_is_read_without_those_of_the_others() -> None:
    bucket = listed()
    for number in range(50):
        bucket.put(f"outbox/_review/f{number}.csv", OLD)
    s3: Any = bucket.client
    before = s3.calls.get("GetObject", 0)
    assert len([*lists.read_lists(bucket, "inbox/trip/day 2/")]) == 0
    assert len([*lists.read_lists(bucket, "inbox/trip/")]) == 2
    assert s3.calls["GetObject"] - before == 5, "of trip, trip/day 2 and the reclassification"


@pytest.mark.parametrize("decimal_comma", [False, True], ids=["comma", "semicolon"])
def test_a_list_for_a_spreadsheet_is_read_back(decimal_comma: bool, tmp_path: Path) -> None:
    entries, _ = lists.select(listed(), "", "any")
    path = tmp_path / "list.csv"
    lists.save(entries, path, decimal_comma)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfimage")
    assert ("0,25" in path.read_text()) == decimal_comma
    again, encoding = lists.parse(path.read_bytes(), "list.csv")
    assert [entry.image for entry in again] == [entry.image for entry in entries]
    assert encoding == "utf-8-sig"
    with pytest.raises(ReviewError, match=r"list\.csv exists, and may hold corrections"):
        lists.save(entries, path, decimal_comma)
