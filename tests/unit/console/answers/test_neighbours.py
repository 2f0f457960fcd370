"""An image is unlike its neighbours where the images most like it are called otherwise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from console.answers import neighbours
from console.answers.neighbours import NEAREST, Neighbourhood, compare, describe


def directions(*degrees: float) -> NDArray[np.float16]:
    """(images, 2): the nearer two angles, the more alike two images."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float16)


def test_a_shoe_among_boots_stands_out() -> None:
    boots = list(range(0, 24, 2))
    shoes = list(range(90, 114, 2))
    features = directions(*boots, 11, *shoes)
    labels = ["boots"] * len(boots) + ["shoe"] + ["shoe"] * len(shoes)
    found = compare(features, labels)
    assert found[len(boots)] == Neighbourhood(10, 10, "boots", 10)
    assert found[len(boots)].score == 1
    assert max(one.score for one in found[: len(boots)]) == 0.1, "it is a neighbour of theirs, too"
    assert {one.score for one in found[len(boots) + 1 :]} == {0}


def test_only_the_direction_of_features_counts() -> None:
    features = directions(*range(0, 60, 5))
    labels = ["a", "b"] * 6
    lengths = np.linspace(0.5, 50, len(features))[:, None].astype(np.float16)
    assert compare(features, labels) == compare((features * lengths).astype(np.float16), labels)


def test_all_others_are_neighbours_of_a_few_and_one_image_has_none() -> None:
    assert compare(directions(0, 1, 2), ["a", "a", "b"])[2] == Neighbourhood(2, 2, "a", 2)
    [alone] = compare(directions(0), ["a"])
    assert (alone, alone.score) == (Neighbourhood(0, 0, "", 0), 0)
    assert compare(np.empty((0, 4), np.float16), []) == []


def test_features_that_are_no_direction_do_no_harm() -> None:
    features = np.array([[0, 0], [np.inf, np.nan], [1, 0], [0, 1]], np.float16)
    found = compare(features, ["a", "b", "a", "a"])
    assert [one.nearest for one in found] == [3, 3, 3, 3]


def test_chunks_change_nothing() -> None:
    count = 2 * neighbours.ROWS_AT_ONCE + 7
    features = np.random.default_rng(1).normal(size=(count, 16)).astype(np.float16)
    labels = [f"label {number % 7}" for number in range(count)]
    found = compare(features, labels)
    rows = features.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for at in (0, neighbours.ROWS_AT_ONCE - 1, neighbours.ROWS_AT_ONCE, count - 1):
        similarity = rows @ rows[at]
        similarity[at] = -np.inf
        nearest = np.argsort(-similarity)[:NEAREST]
        assert found[at].others == sum(labels[one] != labels[at] for one in nearest)


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        (Neighbourhood(10, 8, "boots", 8), "8 of its 10 nearest images are called boots"),
        (Neighbourhood(10, 1, "boots", 1), "1 of its 10 nearest images is called boots"),
        (
            Neighbourhood(10, 9, "boots", 5),
            "5 of its 10 nearest images are called boots, 4 have other labels",
        ),
        (
            Neighbourhood(10, 2, "boots", 1),
            "1 of its 10 nearest images is called boots, 1 has another label",
        ),
        (Neighbourhood(10, 0, "", 0), "its 10 nearest images are called the same"),
        (Neighbourhood(0, 0, "", 0), "there is no other image to compare it with"),
    ],
)
def test_it_is_said_in_words(one: Neighbourhood, sentence: str) -> None:
    assert describe(one) == sentence
