"""Why an image is to be answered: HEAD decides, and is spared where the listing leaves no doubt."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aws.bucket import Bucket, Listed
from batch.planning.listing import UNLISTED, AnswerRequirement, ListedImage, Reason
from domain.result import MODEL_ID, SOURCE_ETAG
from tests.support.fakes.aws import FakeS3

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
IMAGE = Listed("inbox/f/a", "e", 1, NOON)
LATER = Listed("outbox/f/a.json", "r", 1, NOON + timedelta(hours=1))


def reason(
    wanted: AnswerRequirement, etag: str, model: str, result: Any = UNLISTED
) -> Reason | None:
    s3: Any = FakeS3()
    metadata = {SOURCE_ETAG: etag, MODEL_ID: model}
    s3.put_object(Bucket="bucket", Key="outbox/f/a.json", Metadata=metadata)
    return wanted.reason(Bucket(s3, "bucket"), ListedImage(IMAGE, result))


@pytest.mark.parametrize(("etag", "why"), [("e", None), ("other", "newer image")])
def test_the_result_itself_says_which_image_it_answers(etag: str, why: str | None) -> None:
    assert reason(AnswerRequirement(), etag, "m1") == why
    assert reason(AnswerRequirement("m1"), etag, "m1") == why


def test_an_image_without_a_result_wants_an_answer_and_costs_no_head() -> None:
    s3: Any = FakeS3()
    assert AnswerRequirement().reason(Bucket(s3, "bucket"), ListedImage(IMAGE, None)) == "no answer"
    assert s3.calls == {}


def test_a_result_that_is_not_there_when_it_is_looked_at_is_no_answer() -> None:
    s3: Any = FakeS3()
    assert (
        AnswerRequirement().reason(Bucket(s3, "bucket"), ListedImage(IMAGE, UNLISTED))
        == "no answer"
    )


def test_another_models_answer_is_none_to_a_renewal_and_enough_for_all_others() -> None:
    assert reason(AnswerRequirement("m2"), "e", "m1") == "older model"
    assert reason(AnswerRequirement("m1"), "e", "m2") == "older model", (
        "rollback is a change of models too"
    )
    assert reason(AnswerRequirement(), "e", "m1") is None


def test_a_rejection_that_no_model_had_a_say_in_stays() -> None:
    assert reason(AnswerRequirement("m2"), "e", "") is None


def test_a_listing_cannot_tell_a_renewal_which_model_answered() -> None:
    assert AnswerRequirement().is_settled_by_listing(ListedImage(IMAGE, LATER))
    assert reason(AnswerRequirement("m2"), "e", "m1", LATER) == "older model"
