"""What another model had said about the same source is kept with the answer that replaces it."""

from functools import partial
from typing import Any

from domain.keys import result_key
from domain.reply import Label
from domain.result import Previous, Result, from_json
from functions.answer import result_of
from functions.inbox import Image
from tests.support.fakes.desk import HOW, KEY, Desk, by
from tests.support.worlds.uploads import model, reply_to, what_is_on


def stands(desk: Desk) -> Result:
    return from_json(desk.s3.objects[result_key(KEY)].body)


def refused(number: int, image: Image) -> Result:
    return result_of(KEY, image.source, reply_to(b"junk", model(number)), HOW)


def test_a_label_by_another_model_is_remembered_with_its_score() -> None:
    desk = Desk()
    desk.upload()
    desk.reconcile(by(1))
    desk.number = 2
    desk.reconcile(by(2))
    assert stands(desk).previous == Previous(model(1), Label(what_is_on(b"cat"), 0.75))


def test_a_rejection_by_another_model_is_remembered_with_its_code() -> None:
    desk = Desk()
    desk.upload()
    desk.reconcile(partial(refused, 1))
    desk.number = 2
    desk.reconcile(by(2))
    assert stands(desk).previous == Previous(model(1), "not_an_image")


def test_another_image_s_answer_is_not_this_one_s_previous() -> None:
    desk = Desk()
    desk.upload()
    desk.reconcile(by(1))
    desk.upload(b"dog")
    desk.number = 2
    desk.reconcile(by(2, b"dog"))
    assert stands(desk).previous is None


def test_an_answer_of_a_schema_that_is_not_known_is_replaced_without_a_memory() -> None:
    desk = Desk()
    desk.upload()
    desk.reconcile(by(1))
    stored = desk.s3.objects[result_key(KEY)]
    desk.s3.put_object(Bucket="bucket", Key=result_key(KEY), Body=b"{}", Metadata=stored.metadata)
    desk.number = 2
    desk.reconcile(by(2))
    assert stands(desk).previous is None


def test_an_answer_that_changes_while_it_is_read_is_looked_at_again() -> None:
    desk = Desk()
    desk.upload()
    desk.reconcile(by(1))
    desk.number = 2

    def somebody_answers() -> None:
        s3: Any = desk.s3
        stored = s3.objects[result_key(KEY)]
        body = stored.body.replace(b"0.75", b"0.50")
        s3.put_object(Bucket="bucket", Key=result_key(KEY), Body=body, Metadata=stored.metadata)

    desk.before("GetObject", somebody_answers)
    desk.reconcile(by(2))
    assert stands(desk).previous == Previous(model(1), Label(what_is_on(b"cat"), 0.5))
