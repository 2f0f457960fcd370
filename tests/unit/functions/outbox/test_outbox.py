"""Publishing's rules, each in a story of its own; the search for orders is test_outbox_orders."""

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from batch.claim import ContendedError
from domain.keys import result_key
from domain.result import Classified, Result, Source, metadata, to_json
from functions.answer import unreadable
from functions.inbox import Image, Unreadable, peek
from functions.outbox import (
    Current,
    Gone,
    NoAnswer,
    Published,
    delete_result,
    reconcile,
)
from tests.support.fakes.aws import error
from tests.support.fakes.desk import HOW, KEY, Desk, by
from tests.support.worlds.uploads import model


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_answer_is_published_with_its_source_and_its_model(desk: Desk) -> None:
    desk.upload()
    outcome = desk.reconcile(by(1))
    assert isinstance(outcome, Published)
    assert desk.stands() == metadata(outcome.result)
    assert desk.s3.objects[result_key(KEY)].body == to_json(outcome.result).encode()
    assert desk.s3.objects[result_key(KEY)].content_type == "application/json"


def test_a_repeat_asks_nobody(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))

    def nobody(image: Image) -> Result:
        raise AssertionError("the model was asked again")

    assert desk.reconcile(nobody) == Current()


def test_the_bytes_of_an_answered_image_are_not_read_again(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))

    def look(key: str) -> Image:
        raise AssertionError("the image was downloaded again")

    assert reconcile(desk.outbox, KEY, look, by(1)) == Current()


def test_nothing_is_asked_about_an_image_that_is_gone(desk: Desk) -> None:
    assert desk.reconcile(by(1)) == Gone()


def test_a_result_goes_with_its_image(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    del desk.s3.objects[KEY]
    assert desk.reconcile(by(1)) == Gone()
    assert desk.stands() is None


def test_a_caller_without_an_answer_changes_nothing(desk: Desk) -> None:
    desk.upload()
    outcome = desk.reconcile(lambda image: None)
    assert isinstance(outcome, NoAnswer)
    assert outcome.image == peek(desk.outbox.s3, "bucket", KEY)
    assert desk.stands() is None


def test_a_result_written_in_between_is_not_overwritten(desk: Desk) -> None:
    desk.upload()
    desk.before("PutObject", lambda: desk.reconcile(by(1)))
    assert desk.reconcile(by(2)) == Current()
    assert desk.stands() is not None
    assert desk.stands()["model-id"] == str(model(1))  # type: ignore[index]
    assert desk.s3.calls["PutObject"] == 3, "the upload, the one that won, the one that lost"


def test_a_result_written_in_between_is_not_deleted(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    del desk.s3.objects[KEY]
    seen: list[bool] = []

    def somebody_publishes() -> None:
        desk.upload(b"dog")
        desk.reconcile(by(1, b"dog"))

    desk.before("DeleteObject", somebody_publishes)
    desk.s3.hook = watching(desk, seen)
    assert desk.reconcile(by(1, b"dog")) == Current()
    assert all(seen), "the new result was away for a moment"


def watching(desk: Desk, seen: list[bool]) -> Callable[[str, str], None]:
    """After the deletion was tried, whether a result stands at every later call."""
    inner = desk.s3.hook
    tried: list[str] = []

    def hook(operation: str, key: str) -> None:
        if tried:
            seen.append(desk.stands() is not None)
        if operation == "DeleteObject":
            inner(operation, key)
            desk.s3.hook = hook
            tried.append(key)

    return hook


def test_an_image_changed_while_it_was_classified_is_answered_as_it_is_now(desk: Desk) -> None:
    desk.upload(b"cat")
    contents = iter([b"cat", b"dog"])
    desk.before("PutObject", lambda: desk.upload(b"dog"))
    outcome = desk.reconcile(lambda image: by(1, next(contents))(image))
    assert isinstance(outcome, Published)
    assert outcome.result.source.etag == desk.s3.objects[KEY].etag


def test_an_image_that_never_rests_is_left_to_the_queue(desk: Desk) -> None:
    desk.upload()
    numbers = iter(range(1000))
    desk.before("PutObject", lambda: desk.upload(b"%d" % next(numbers)), times=1000)
    with pytest.raises(ContendedError, match=r"inbox/cat\.jpg changed in each of 8 rounds"):
        desk.reconcile(by(1))


def test_withdrawing_takes_the_answer_of_an_image_that_is_gone(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    del desk.s3.objects[KEY]
    assert delete_result(desk.outbox, KEY) == Gone()
    assert desk.stands() is None


def test_withdrawing_takes_the_answer_that_an_older_version_does_not_have(desk: Desk) -> None:
    desk.upload(b"cat")
    desk.reconcile(by(1))
    desk.upload(b"dog")
    assert delete_result(desk.outbox, KEY) == Gone()
    assert desk.stands() is None


def test_withdrawing_keeps_the_answer_of_the_image_as_it_is(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    assert delete_result(desk.outbox, KEY) == Current()
    assert desk.stands() is not None


@pytest.mark.parametrize("code", [404, 409, 412])
def test_a_lost_race_is_another_round(desk: Desk, code: int) -> None:
    desk.upload()

    def lost() -> None:
        raise error("PutObject", code, "Whatever")

    desk.before("PutObject", lost)
    assert isinstance(desk.reconcile(by(1)), Published)


@pytest.mark.parametrize("operation", ["HeadObject", "PutObject"])
def test_a_missing_permission_is_never_an_absence(desk: Desk, operation: str) -> None:
    desk.upload()

    def refuse() -> None:
        raise error(operation, 403, "AccessDenied")

    desk.before(operation, refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        desk.reconcile(by(1))


def test_a_missing_bucket_is_not_an_absent_image(desk: Desk) -> None:
    def missing() -> None:
        raise error("HeadObject", 404, "NoSuchBucket")

    desk.before("HeadObject", missing)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        desk.reconcile(by(1))


def test_a_result_that_is_not_ours_is_replaced(desk: Desk) -> None:
    desk.upload()
    desk.s3.put_object(Bucket="bucket", Key=result_key(KEY), Body=b"somebody's note")
    outcome = desk.reconcile(by(1))
    assert isinstance(outcome, Published)
    assert isinstance(outcome.result, Classified)
    assert outcome.result.source == Source("bucket", desk.s3.objects[KEY].etag, "v1", 3)


def test_a_withdrawal_that_is_overtaken_each_time_is_left_to_the_queue(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    del desk.s3.objects[KEY]
    numbers = iter(range(1000))

    def rewrite() -> None:
        desk.s3.put_object(Bucket="bucket", Key=result_key(KEY), Body=b"%d" % next(numbers))

    desk.before("DeleteObject", rewrite, times=1000)
    with pytest.raises(ContendedError, match=r"^inbox/cat\.jpg changed in each of 8 rounds$"):
        delete_result(desk.outbox, KEY)
    assert next(numbers) == 8


@pytest.mark.parametrize("code", [404, 409, 412])
def test_a_withdrawal_that_is_overtaken_once_is_done_in_another_round(
    desk: Desk, code: int
) -> None:
    desk.upload()
    desk.reconcile(by(1))
    del desk.s3.objects[KEY]

    def lost() -> None:
        raise error("DeleteObject", code, "Whatever")

    desk.before("DeleteObject", lost)
    assert delete_result(desk.outbox, KEY) == Gone()
    assert desk.stands() is None


@pytest.mark.parametrize("operation", ["PutObject", "DeleteObject"])
@pytest.mark.parametrize(("status", "code"), [(404, "NoSuchBucket"), (500, "InternalError")])
def test_trouble_with_a_write_is_no_lost_race(
    desk: Desk, operation: str, status: int, code: str
) -> None:
    desk.upload()
    if operation == "DeleteObject":
        desk.reconcile(by(1))
        del desk.s3.objects[KEY]

    def trouble() -> None:
        raise error(operation, status, code)

    desk.before(operation, trouble)
    with pytest.raises(ClientError, match=code):
        desk.reconcile(by(1))


def unread(image: Image) -> Result:
    return unreadable(Unreadable(KEY, image.source, image.last_modified, "It is archived."), HOW)


def test_what_could_not_be_read_is_looked_at_again_and_said_once(desk: Desk) -> None:
    desk.upload()
    assert isinstance(desk.reconcile(unread), Published)
    written = desk.s3.objects[result_key(KEY)]
    assert desk.reconcile(unread) == Current(), "a sweep would write the same rejection each time"
    assert desk.s3.objects[result_key(KEY)] == written
    outcome = desk.reconcile(by(1))
    assert isinstance(outcome, Published), "once it can be read it is answered"
    assert isinstance(outcome.result, Classified)


def test_an_image_that_was_answered_keeps_its_answer_when_it_cannot_be_read(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    desk.number = 2
    assert desk.reconcile(unread) == Current()
    assert desk.stands() is not None


@pytest.mark.parametrize("restored", [True, False])
def test_a_restore_withdraws_that_an_image_could_not_be_read(desk: Desk, restored: bool) -> None:
    desk.upload()
    desk.reconcile(unread)
    outcome = delete_result(desk.outbox, KEY, is_restored=restored)
    assert outcome == (Gone() if restored else Current())
    assert (desk.stands() is None) == restored


def test_a_restore_withdraws_no_other_answer(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    assert delete_result(desk.outbox, KEY, is_restored=True) == Current()


def test_there_is_nothing_to_withdraw_where_nothing_stands(desk: Desk) -> None:
    desk.upload()
    assert delete_result(desk.outbox, KEY) == Gone()
    assert "DeleteObject" not in desk.s3.calls


def test_an_image_that_comes_back_while_its_answer_goes_is_answered(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    del desk.s3.objects[KEY]
    desk.before("DeleteObject", desk.upload)
    assert isinstance(desk.reconcile(by(1)), Published), (
        "Its event may have been handled already, by somebody who saw the answer still standing."
    )
    assert desk.stands() is not None


def test_a_removal_is_no_restore(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(unread)
    assert delete_result(desk.outbox, KEY) == Current()
