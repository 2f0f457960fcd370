"""Which of two answers stands: by the active model, by another one, a rejection."""

from dataclasses import replace
from functools import partial

import pytest

from domain.keys import result_key
from domain.result import MODEL_ID, Result, metadata
from functions.inbox import Image, peek
from functions.outbox import Current, Published, reconcile
from tests.support.fakes.desk import KEY, Desk, by, too_large
from tests.support.worlds.uploads import model


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_active_model_replaces_the_answer_of_another(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    desk.number = 2
    assert isinstance(desk.reconcile(by(2)), Published)
    assert desk.again == []


def test_going_back_to_an_older_model_is_a_change_like_any_other(desk: Desk) -> None:
    desk.upload()
    desk.number = 2
    desk.reconcile(by(2))
    desk.number = 1
    assert isinstance(desk.reconcile(by(1)), Published)


def test_an_answer_by_a_model_that_is_not_active_is_queued_before_it_is_published(
    desk: Desk,
) -> None:
    desk.upload()
    published_when_queued: list[bool] = []
    outbox = replace(
        desk.outbox, look_again=lambda key: published_when_queued.append(desk.stands() is not None)
    )
    outcome = reconcile(outbox, KEY, partial(peek, outbox.s3, "bucket"), by(2))
    assert isinstance(outcome, Published)
    assert published_when_queued == [False]


def test_the_same_answer_by_the_same_old_model_is_not_written_again(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(2))
    assert desk.reconcile(by(2)) == Current()
    assert desk.again == [KEY, KEY]


def test_a_result_that_does_not_say_its_model_is_renewed(desk: Desk) -> None:
    """Of a version of ours that kept no model with a result, or copied without its metadata."""
    desk.upload()
    desk.reconcile(by(1))
    stored = desk.s3.objects[result_key(KEY)]
    about = {name: said for name, said in stored.metadata.items() if name != MODEL_ID}
    desk.s3.objects[result_key(KEY)] = replace(stored, metadata=about)
    assert isinstance(desk.reconcile(by(1)), Published), (
        "No model-id is not the empty one of a rejection that no model has a say in: such a result "
        "would never be renewed."
    )
    assert desk.stands() == stored.metadata


def test_a_pointer_that_moves_during_the_write_is_seen_after_it(desk: Desk) -> None:
    desk.upload()
    answers = iter([1, 2])
    desk.before("PutObject", lambda: setattr(desk, "number", 2))
    outcome = desk.reconcile(lambda image: by(next(answers))(image))
    assert isinstance(outcome, Published)
    assert desk.stands() == metadata(outcome.result)
    assert outcome.result.by is not None
    assert outcome.result.by.model == model(2)


def test_the_active_models_rejection_replaces_anothers_labels(desk: Desk) -> None:
    """Else the image would keep an answer by an old model, and be asked again by every sweep."""
    desk.upload()
    desk.reconcile(by(1))
    desk.number = 2
    assert isinstance(desk.reconcile(by(2, b"junk")), Published)
    stands = desk.stands()
    assert stands is not None
    assert (stands["status"], stands["model-id"]) == ("rejected", str(model(2)))


def test_another_models_rejection_never_replaces_labels_for_the_same_source(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(2))
    desk.number = 3
    assert desk.reconcile(by(1, b"junk")) == Current()
    stands = desk.stands()
    assert stands is not None
    assert stands["status"] == "classified"


def test_a_rejection_that_no_model_made_replaces_no_labels(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    desk.number = 2
    assert desk.reconcile(too_large) == Current()


def test_labels_replace_a_rejection_by_another_model(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1, b"junk"))
    desk.number = 2
    assert isinstance(desk.reconcile(by(2)), Published)


def test_a_rejection_replaces_labels_for_another_source(desk: Desk) -> None:
    desk.upload(b"cat")
    desk.reconcile(by(1))
    desk.upload(b"junk")
    assert isinstance(desk.reconcile(by(1, b"junk")), Published)


def test_a_rejection_that_no_model_made_stands_under_every_model(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(too_large)
    desk.number = 2
    assert desk.reconcile(by(2)) == Current()
    assert desk.again == []


def test_an_answer_by_the_active_model_is_not_replaced_by_anothers(desk: Desk) -> None:
    desk.upload()
    desk.reconcile(by(1))
    desk.number = 2

    def roll_back_meanwhile(image: Image) -> Result | None:
        desk.number = 1
        return by(2)(image)

    assert desk.reconcile(roll_back_meanwhile) == Current()
    stands = desk.stands()
    assert stands is not None
    assert stands["model-id"] == str(model(1))


def test_what_another_model_says_of_a_new_version_replaces_no_newer_answer(desk: Desk) -> None:
    """An answer stood when the image changed; a promotion and a quicker worker come in between."""
    desk.upload(b"cat")
    desk.reconcile(by(1))
    desk.upload(b"dog")

    def be_overtaken() -> None:
        desk.number = 2
        desk.reconcile(by(2, b"dog"))

    desk.before("PutObject", be_overtaken)
    desk.reconcile(by(1, b"dog"))
    stands = desk.stands()
    assert stands
    assert stands["model-id"] == str(model(2))


def test_of_two_models_that_are_not_active_the_later_answer_stands(desk: Desk) -> None:
    """A page of a run that began before two promotions: better than the model before that one."""
    desk.upload()
    desk.reconcile(by(1))
    desk.number = 3
    assert isinstance(desk.reconcile(by(2)), Published)
    stands = desk.stands()
    assert stands is not None
    assert stands[MODEL_ID] == str(model(2))


def test_a_model_is_not_the_one_before_itself(desk: Desk) -> None:
    desk.upload(b"junk")
    desk.reconcile(by(1, b"junk"))
    desk.number = 2
    outcome = desk.reconcile(by(1))
    assert isinstance(outcome, Published), "labels say more than a rejection by the same model"
    assert outcome.result.previous is None, "a change of models is what it tells of"
