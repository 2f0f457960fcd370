"""Single images through the deployed cloud: dropped, overwritten, deleted, oddly named, broken."""

from urllib.parse import quote_plus

import pytest

from domain import keys
from tests.flow.conftest import Knobs
from tests.flow.support.drive import Cloud, code, eventually, label_of, record, top_label

pytestmark = pytest.mark.flow


def test_a_single_is_answered_by_the_endpoint(cloud: Cloud) -> None:
    etag = cloud.drop("inbox/cat.jpg", b"cat")
    answer = cloud.answered("inbox/cat.jpg", etag)
    assert top_label(answer) == label_of(b"cat")
    assert (answer.how.route, answer.how.job) == ("endpoint", None)
    assert answer.source.bytes == 3
    assert answer.by is not None
    assert answer.by.model == cloud.active().id


def test_an_overwritten_image_gets_the_answer_for_its_newest_version(cloud: Cloud) -> None:
    cloud.drop("inbox/changing.jpg", b"before")
    assert cloud.label("inbox/changing.jpg") == label_of(b"before")
    etag = cloud.drop("inbox/changing.jpg", b"after")
    assert cloud.label("inbox/changing.jpg", etag) == label_of(b"after")


def test_an_image_overwritten_while_it_is_classified_is_answered_as_it_is_now(
    cloud: Cloud, knobs: Knobs
) -> None:
    knobs.set(delay_ms=700)
    cloud.drop("inbox/racing.jpg", b"first")
    eventually(lambda: knobs.seen(b"first") or None, "the first version at the model")
    etag = cloud.drop("inbox/racing.jpg", b"second")
    assert cloud.label("inbox/racing.jpg", etag) == label_of(b"second")
    cloud.at_rest()
    assert cloud.label("inbox/racing.jpg", etag) == label_of(b"second")


def test_a_deleted_image_takes_its_answer_along(cloud: Cloud) -> None:
    cloud.drop("inbox/leaving.jpg", b"leaving")
    cloud.answered("inbox/leaving.jpg")
    cloud.remove("inbox/leaving.jpg")
    cloud.unanswered("inbox/leaving.jpg")
    cloud.at_rest()
    assert cloud.answer("inbox/leaving.jpg") is None


def test_an_image_deleted_while_it_is_classified_leaves_no_answer(
    cloud: Cloud, knobs: Knobs
) -> None:
    knobs.set(delay_ms=700)
    cloud.drop("inbox/vanishing.jpg", b"vanishing")
    eventually(lambda: knobs.seen(b"vanishing") or None, "the image at the model")
    cloud.remove("inbox/vanishing.jpg")
    cloud.at_rest()
    assert cloud.answer("inbox/vanishing.jpg") is None


def test_repeated_and_reordered_events_change_nothing(cloud: Cloud) -> None:
    etag = cloud.drop("inbox/echo.jpg", b"echo")
    before = cloud.answered("inbox/echo.jpg", etag)
    created = record("ObjectCreated:Put", cloud.bucket, "inbox%2Fecho.jpg", etag)
    removed = record("ObjectRemoved:Delete", cloud.bucket, "inbox%2Fecho.jpg")
    cloud.notify(removed, created, created, removed, created)
    cloud.at_rest()
    assert cloud.answer("inbox/echo.jpg") == before


STRANGE = [
    "a photo of my cat.jpg",
    "1+1=2.jpg",
    "100%25.jpg",
    "100% sure.jpg",
    "naïve café.jpg",
    "写真.jpg",
    "🐈.jpg",
    "two\nlines.jpg",
    "'quoted\"; rm -rf.jpg",
    "<script>alert(1)<.jpg",
    "no extension",
    "a.jpg.json",
    "…" * 300 + ".jpg",
    "x" * (keys.KEY_BYTES - len("inbox/")),
]


@pytest.mark.parametrize("name", STRANGE, ids=range(len(STRANGE)))
def test_a_single_with_a_strange_key_is_answered_under_the_matching_key(
    cloud: Cloud, name: str
) -> None:
    key, body = f"inbox/{name}", name.encode()
    etag = cloud.drop(key, body)
    answer = cloud.answered(key, etag)
    assert answer.image == key
    assert top_label(answer) == label_of(body)


def test_what_is_not_an_image_is_rejected_with_a_sentence(cloud: Cloud) -> None:
    cloud.drop("inbox/notes.jpg", b"BAD notes")
    answer = cloud.answered("inbox/notes.jpg")
    assert code(answer) == "not_an_image"
    assert answer.how.route == "endpoint"


def test_placeholders_and_system_files_are_ignored(cloud: Cloud) -> None:
    ignored = ["inbox/.DS_Store", "inbox/_SUCCESS", "inbox/Thumbs.db", "inbox/desktop.ini"]
    for key in ignored:
        cloud.drop(key, b"nothing to see")
    cloud.at_rest()
    assert [cloud.answer(key) for key in ignored] == [None] * len(ignored)


def test_a_single_larger_than_the_endpoint_takes_goes_by_batch(cloud: Cloud) -> None:
    body = b"large" * 1_500_000
    etag = cloud.drop("inbox/panorama.tif", body)
    answer = cloud.answered("inbox/panorama.tif", etag)
    assert top_label(answer) == label_of(body)
    assert answer.how.route == "batch"
    assert answer.how.job is not None


def test_nothing_we_write_triggers_us(cloud: Cloud) -> None:
    cloud.at_rest()
    for prefix in (keys.OUTBOX, keys.WORK, keys.MODELS):
        cloud.drop(f"{prefix}stray.jpg", b"stray")
    etag = cloud.drop("inbox/after the strays.jpg", b"after")
    cloud.answered("inbox/after the strays.jpg", etag)
    cloud.at_rest()
    listed = cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=f"{keys.OUTBOX}stray")
    assert [found["Key"] for found in listed["Contents"]] == [f"{keys.OUTBOX}stray.jpg"]
    assert cloud.depth("inbox-dead") == 0


def test_endpoint_trouble_is_retried_until_it_is_over(cloud: Cloud, knobs: Knobs) -> None:
    knobs.set(status=500)
    etag = cloud.drop("inbox/patient.jpg", b"patient")
    eventually(lambda: knobs.seen(b"patient") or None, "a first try")
    assert cloud.answer("inbox/patient.jpg") is None
    knobs.set()
    assert cloud.label("inbox/patient.jpg", etag) == label_of(b"patient")
    assert cloud.depth("inbox-dead") == 0


def test_an_object_named_like_a_message_is_only_an_image(cloud: Cloud) -> None:
    name = '{"look": {"key": "inbox/cat.jpg", "again": 1}}'
    cloud.drop(f"inbox/{name}", b"cheeky")
    assert cloud.label(f"inbox/{name}") == label_of(b"cheeky")
    created = record("ObjectCreated:Put", cloud.bucket, quote_plus("inbox/never there.jpg"))
    cloud.notify(created)
    cloud.at_rest()
    assert cloud.answer("inbox/never there.jpg") is None
