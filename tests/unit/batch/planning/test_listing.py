"""Inbox and outbox walked together: the order, what is held, and what a listing settles."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.bucket import Listed
from batch.planning.listing import UNLISTED, ListedImage, is_settled_by_listing, match_results
from domain.keys import result_key

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

# Letters that decide how `X` and `X.json` sort, in names so short that many begin others.
pieces = st.sampled_from([*"a.-/jz \x01é\U0001f600", ".json", ".jpg"])
names = st.lists(pieces, min_size=1, max_size=6).map("".join)
folders = st.sets(names, max_size=14)


def listed(key: str, etag: str = "e", at: datetime = NOON) -> Listed:
    return Listed(key, etag, 1, at)


def listing(keys: set[str]) -> Iterator[Listed]:
    """As S3 lists: in the order of UTF-8 bytes."""
    return iter([listed(key) for key in sorted(keys, key=str.encode)])


def joined(images: set[str], results: set[str]) -> list[ListedImage]:
    return list(match_results(listing(images), listing(results)))


@given(folders, st.data())
def test_every_image_meets_its_result_or_is_left_to_a_head(names: set[str], data: Any) -> None:
    images = {f"inbox/f/{name}" for name in names}
    answered = data.draw(st.sets(st.sampled_from(sorted(images)))) if images else set()
    others = {f"outbox/f/{name}" for name in data.draw(folders)}
    results = {result_key(key) for key in answered} | others

    candidates = joined(images, results)

    assert sorted(each.image.key for each in candidates) == sorted(images)
    for each in candidates:
        its = result_key(each.image.key)
        if each.result is None:
            assert its not in results
        elif each.result != UNLISTED:
            assert each.result.key == its
            assert its in results


@given(folders)
def test_images_come_in_the_order_of_their_results(names: set[str]) -> None:
    candidates = joined({f"inbox/f/{name}" for name in names}, set())
    found = [result_key(each.image.key).encode() for each in candidates]
    assert found == sorted(found)


@given(folders.filter(bool))
def test_only_beginnings_of_the_last_key_are_left_to_a_head(names: set[str]) -> None:
    images = {f"inbox/f/{name}" for name in names}
    last = max(images, key=str.encode)
    left = [each.image.key for each in joined(images, set()) if each.result == UNLISTED]
    assert all(last.startswith(key) for key in left)


def test_what_is_held_does_not_grow_with_the_listing() -> None:
    """A hundred thousand images whose first is a beginning of all others."""
    read = 0

    def images() -> Iterator[Listed]:
        nonlocal read
        for key in ["inbox/f/a", *(f"inbox/f/a-{number:06}" for number in range(100_000))]:
            read += 1
            yield listed(key)

    most = 0
    for given_out, _ in enumerate(match_results(images(), iter(()))):
        most = max(most, read - given_out)
    assert most <= 3


def test_results_are_read_no_further_than_the_images_need() -> None:
    results = iter([listed(f"outbox/f/{number:03}.jpg.json") for number in range(100)])
    list(match_results(iter([listed("inbox/f/000.jpg"), listed("inbox/f/001.jpg")]), results))
    assert next(results).key == "outbox/f/001.jpg.json"


def test_a_result_under_a_hash_is_left_to_a_head() -> None:
    image = listed("inbox/f/" + "x" * 1014)
    assert list(match_results(iter([image]), iter(()))) == [ListedImage(image, UNLISTED)]


@pytest.mark.parametrize(
    ("etag", "seconds", "settled"),
    [("e", 2, True), ("e", 1, False), ("e", -5, False), ("e-2", 60, False)],
    ids=["clearly later", "too close to tell", "earlier", "a multipart upload"],
)
def test_the_listing_settles_only_what_it_leaves_no_doubt_about(
    etag: str, seconds: int, settled: bool
) -> None:
    image = listed("inbox/f/a", etag)
    result = listed("outbox/f/a.json", "r", NOON + timedelta(seconds=seconds))
    assert is_settled_by_listing(ListedImage(image, result)) is settled


@pytest.mark.parametrize("result", [None, UNLISTED])
def test_the_listing_settles_nothing_without_a_result(result: Any) -> None:
    assert not is_settled_by_listing(ListedImage(listed("inbox/f/a"), result))
