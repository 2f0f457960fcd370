"""Three workers, two crashes, a repeated message: no order of all their steps ends badly."""

import json

import pytest

from domain.keys import result_key
from tests.faults.simulation.interleavings import Act, Search
from tests.faults.simulation.steps import Stored
from tests.support.worlds.acts import Remove, Upload
from tests.support.worlds.uploads import what_is_on

SINGLE, IN_FOLDER = "inbox/a.jpg", "inbox/trip/a.jpg"
STORIES = ("cat, dog, gone", "cat, gone, dog", "cat, gone, cat", "cat, dog, cat")
SMALL = [*((story, SINGLE) for story in STORIES), ("cat, gone, cat", IN_FOLDER)]
LARGE = [
    *((story, IN_FOLDER) for story in STORIES),
    *((f"{story}, dog", SINGLE) for story in STORIES),
]


def told(story: str, key: str) -> tuple[Act, ...]:
    words = story.split(", ")
    return tuple(Remove(key) if word == "gone" else Upload(key, word.encode()) for word in words)


def assert_answered(objects: dict[str, Stored]) -> None:
    """The image that is there has its answer, and there is no other."""
    answers = {key: json.loads(o.body) for key, o in objects.items() if key.startswith("outbox/")}
    images = {key: image for key, image in objects.items() if key.startswith("inbox/")}
    assert answers.keys() == {result_key(key) for key in images}
    for key, image in images.items():
        answer = answers[result_key(key)]
        assert answer["source"]["etag"] == image.etag
        assert answer["labels"][0]["label"] == what_is_on(image.body)


@pytest.mark.parametrize(("story", "key"), SMALL)
def test_at_rest_an_image_has_its_own_answer(story: str, key: str) -> None:
    assert_no_order_ends_badly(Search(told(story, key), assert_answered))


@pytest.mark.faults
@pytest.mark.parametrize(("story", "key"), LARGE)
def test_the_same_of_longer_stories(story: str, key: str) -> None:
    assert_no_order_ends_badly(Search(told(story, key), assert_answered))


def assert_no_order_ends_badly(search: Search) -> None:
    search.run()
    print(f"{len(search.seen)} states, {search.rests} at rest")
    assert search.rests > 0
