"""Which answers would change with another model: the sample, the comparison and the page."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from aws.bucket import Bucket
from batch.outcome import Predicted, answer_of
from domain import result
from domain.keys import result_key
from domain.model import ModelId
from domain.reply import Label
from domain.result import AnsweredBy, Classified, How, Rejected, Source
from domain.route import ENDPOINT_BYTES
from infra.models import preview
from tests.support.builders.pages import HOSTILE, Page

NAME = "stage-bucket"
ACTIVE = AnsweredBy(ModelId("pets", 3, f"sha256:{'a' * 64}"), "image")
CANDIDATE = str(ModelId("pets", 0, f"sha256:{'b' * 64}"))
HOW = How("endpoint", None, 1, "2026-11-28T09:00:00Z")


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with mock_aws():
        client = boto3.Session("test", "test", region_name="us-east-1").client("s3")
        client.create_bucket(Bucket=NAME)
        yield Bucket(client, NAME)


def upload(bucket: Bucket, key: str, body: bytes = b"image") -> Source:
    etag = bucket.client.put_object(Bucket=NAME, Key=key, Body=body)["ETag"].strip('"')
    return Source(NAME, etag, None, len(body))


def answer(bucket: Bucket, key: str, label: str = "cat", body: bytes = b"image") -> Classified:
    source = upload(bucket, key, body)
    answered = Classified(key, source, ACTIVE, HOW, (Label(label, 0.6),), 4, 3, "jpeg", 1.0)
    bucket.put(result_key(key), result.to_json(answered))
    return answered


def taken(bucket: Bucket, folder: Path, images: int = 100, below: str = "inbox/") -> list[str]:
    folder.mkdir(exist_ok=True)
    sample = preview.take_sample(bucket, below, images, folder)
    assert [path.exists() for path in sample.files()] == [True] * len(sample.answers)
    return [answer.image for answer in sample.answers]


def test_only_images_with_a_current_answer_by_labels_are_taken(
    bucket: Bucket, tmp_path: Path
) -> None:
    answer(bucket, "inbox/a.jpg", body=b"its bytes")
    answer(bucket, "inbox/trip/b.jpg")
    upload(bucket, "inbox/unanswered.jpg")
    upload(bucket, "inbox/Thumbs.db")
    answer(bucket, "inbox/packed.zip")
    answer(bucket, "inbox/changed.jpg")
    upload(bucket, "inbox/changed.jpg", b"another image")
    source = upload(bucket, "inbox/rejected.jpg")
    rejected = Rejected("inbox/rejected.jpg", source, ACTIVE, HOW, "corrupt", "It is damaged.")
    bucket.put(result_key("inbox/rejected.jpg"), result.to_json(rejected))
    answer(bucket, "inbox/large.jpg", body=bytes(ENDPOINT_BYTES + 1))
    assert taken(bucket, tmp_path / "all") == ["inbox/a.jpg", "inbox/trip/b.jpg"]
    assert (tmp_path / "all" / "0").read_bytes() == b"its bytes"
    assert taken(bucket, tmp_path / "trip", below="inbox/trip/") == ["inbox/trip/b.jpg"]


def test_the_same_inbox_gives_the_same_sample_and_no_image_is_preferred(
    bucket: Bucket, tmp_path: Path
) -> None:
    for number in range(40):
        answer(bucket, f"inbox/{number:02}.jpg")
    first = taken(bucket, tmp_path / "a", 10)
    assert len(first) == 10
    assert first == sorted(first) == taken(bucket, tmp_path / "b", 10)
    chosen = Counter[str]()
    for size in range(1, 41):
        chosen.update(item.key for item in preview._choose(bucket, "inbox/", size))
    halves = sum(chosen[f"inbox/{number:02}.jpg"] for number in range(20))
    assert 0.35 < halves / chosen.total() < 0.65, "not the first keys rather than the others"


def test_what_would_change_is_counted(bucket: Bucket, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        answer(bucket, f"inbox/{name}.jpg", "cat")
    sample = preview.take_sample(bucket, "inbox/", 10, tmp_path)
    labels = [Label("cat", 0.9), Label("dog", 0.8), Label("dog", 0.7), Label("bird", 0.2)]
    changes = preview.compare(sample, CANDIDATE, labels, "2026-11-28T10:00:00Z")
    assert (changes.renewed, changes.flipped) == (4, 3)
    assert [flip.image for flip in changes.most_confident] == [
        "inbox/b.jpg",
        "inbox/c.jpg",
        "inbox/d.jpg",
    ]
    assert list(preview.sentences(changes)) == [
        "Of 4 answers, 3 (75.0 %) would change.",
        "     2  cat -> dog",
        "     1  cat -> bird",
    ]


def test_hostile_names_stay_text_and_nothing_is_linked(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sample = preview.take_sample(bucket, "inbox/", 1, tmp_path)
    answered = [replace(answer(bucket, "inbox/a.jpg"), image=f"inbox/{name}") for name in HOSTILE]
    predicted = [one for one in map(answer_of, answered) if isinstance(one, Predicted)]
    changes = preview.compare(
        replace(sample, answers=tuple(predicted)),
        CANDIDATE,
        [Label(name, 0.5) for name in HOSTILE],
        "2026-11-28T10:00:00Z",
    )
    path = preview.write_page(CANDIDATE, "Nothing has changed.", changes, lambda key: None)
    assert path == preview.PREVIEWS / f"pets-{'b' * 12}.html"
    page = Page(path.read_text())
    page.check()
    assert page.links == [], "the page is not in the bucket: a link from it leads nowhere"
