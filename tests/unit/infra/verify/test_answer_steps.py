"""Only an answer to the very upload counts, and only one that a person would accept."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from domain import keys, result
from domain.keys import INBOX
from domain.model import ModelId
from domain.reply import Label
from domain.result import AnsweredBy, Classified, How, Source
from domain.route import InFolder, Single, route
from infra.verify import drawings
from infra.verify.answer_steps import ODD_FOLDER, ODD_IN_FOLDER, ODD_SINGLES, InboxFile, answers
from infra.verify.step import KEY_PREFIX, Site, StepFailed
from tests.support.fakes.aws import FakeS3

KEY = f"{INBOX}{KEY_PREFIX}-a.png"
BY = AnsweredBy(ModelId("imagenet", 1, f"sha256:{'1' * 64}"), f"sha256:{'2' * 64}")


def answer(key: str, put: Any, label: str = "espresso") -> bytes:
    etag = put["ETag"].strip('"')
    source = Source("bucket", etag, put["VersionId"], 1)
    how = How("endpoint", None, 1, "2026-11-28T12:00:00Z")
    labels = (Label(label, 0.9),)
    return result.to_json(Classified(key, source, BY, how, labels, 1, 1, "png", 1.0)).encode()


class Answering(FakeS3):
    """A bucket whose uploads are answered at once, for what they are or for what they were."""

    label = "espresso"
    is_late = False

    def put_object(self, **request: Any) -> dict[str, Any]:
        put: dict[str, Any] = super().put_object(**request)
        key = request["Key"]
        if key.startswith(INBOX) and not self.is_late:
            body = answer(key, put, self.label)
            super().put_object(Bucket=self.bucket, Key=keys.result_key(key), Body=body)
        return put


def site(s3: FakeS3) -> Site:
    stage: Any = SimpleNamespace(name="verify", bucket="bucket")
    return Site(stage, lambda service: s3, lambda variant: "", Path, Path(), 0.01)


COFFEE = InboxFile(KEY, b"coffee", frozenset({"espresso"}))


def test_an_answer_to_the_upload_is_returned() -> None:
    [answered] = answers(site(Answering()), [COFFEE], 0)
    assert answered.image == KEY


def test_an_answer_to_an_earlier_upload_of_the_same_bytes_does_not_count() -> None:
    s3 = Answering()
    answers(site(s3), [COFFEE], 0)
    s3.is_late = True
    with pytest.raises(StepFailed, match="answers to 1 images: not within 0 minutes"):
        answers(site(s3), [COFFEE], 0)


def test_a_label_that_nobody_would_accept_fails_the_step() -> None:
    s3 = Answering()
    s3.label = "missile"
    with pytest.raises(StepFailed, match=r"classified as missile .*, not espresso"):
        answers(site(s3), [COFFEE], 0)


def test_the_odd_names_are_images_on_the_route_that_they_are_to_test() -> None:
    for name in ODD_SINGLES:
        key = f"{INBOX}{KEY_PREFIX}-{name}"
        assert len(key.encode()) <= keys.KEY_BYTES
        assert isinstance(route(key), Single), key
    for name in ODD_IN_FOLDER:
        key = f"{INBOX}{ODD_FOLDER}/{name}"
        assert isinstance(route(key), InFolder), key
    assert max(len(f"{INBOX}{KEY_PREFIX}-{name}".encode()) for name in ODD_SINGLES) == 1024
    every = "".join((*ODD_SINGLES, *ODD_IN_FOLDER))
    assert all(odd in every for odd in (" ", "%", "+", "ü", "猫", "😀", "..", "//"))


def test_the_drawings_are_the_same_at_every_run_and_differ_from_each_other(tmp_path: Path) -> None:
    first, second = drawings.write(tmp_path / "a"), drawings.write(tmp_path / "b")
    bodies = {path.relative_to(first): path.read_bytes() for path in first.rglob("*.jpg")}
    assert bodies == {path.relative_to(second): path.read_bytes() for path in second.rglob("*.jpg")}
    assert len(set(bodies.values())) == len(bodies)
