"""The bucket's verbs against an S3 that is not ours: conditions, absence, listings of any key."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from aws.bucket import Bucket, Pieces

STRANGE = [
    *("p/a", "p/a.jpg", "p/a b+%.jpg", "p/line\nbreak\r", "p/\u2028", "p/ü猫\U0001f600"),
    *("p/../x", "p//d", "p/&<>\"'"),
]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with mock_aws():
        client = boto3.client(
            "s3",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket="bucket")
        yield Bucket(client, "bucket")


def test_what_is_absent_is_none_however_it_is_asked_for(bucket: Bucket) -> None:
    assert bucket.read("x") is None
    assert bucket.head("x") is None
    assert bucket.span("x", "0" * 32, 0, 10) is None


def test_pieces_become_one_object_only_where_there_is_none(bucket: Bucket) -> None:
    """That it is replaced only as it was seen, moto does not know: test_fakes.py asks another."""
    part = "x" * (5 * 2**20)
    bucket.put("part a", part + "a")
    bucket.put("part/ü b", part + "b")
    pieces = Pieces(("part a", "part/ü b"), "rest")
    assert bucket.replace("whole", pieces, None, "text/csv")
    assert not bucket.replace("whole", pieces, None, "text/csv"), "it stands already"
    seen = bucket.head("whole")
    assert seen is not None
    assert seen.listed.size == 2 * len(part) + 6
    assert bucket.replace("whole", Pieces(("part a",), ""), seen.listed.etag)
    whole = bucket.read("whole")
    assert whole is not None
    assert whole.body == (part + "a").encode()


def test_a_span_is_of_the_object_that_was_seen(bucket: Bucket) -> None:
    bucket.put("x", "0123456789")
    seen = bucket.read("x")
    assert seen is not None
    assert bucket.span("x", seen.etag, 2, 3) == b"234"
    assert bucket.span("x", seen.etag, 8, 100) == b"89"
    bucket.put("x", "another")
    assert bucket.span("x", seen.etag, 2, 3) is None


def test_a_bucket_that_is_absent_is_trouble(bucket: Bucket) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        Bucket(bucket.client, "another").read("x")


def test_only_the_first_creates(bucket: Bucket) -> None:
    assert bucket.create("x", "first")
    assert not bucket.create("x", "second")
    stored = bucket.read("x")
    assert stored is not None
    assert stored.body == b"first"


def test_an_object_is_replaced_and_deleted_only_as_it_was_seen(bucket: Bucket) -> None:
    bucket.put("x", "first")
    seen = bucket.read("x")
    assert seen is not None
    assert bucket.replace("x", "second", seen.etag)
    assert not bucket.replace("x", "third", seen.etag)
    assert not bucket.delete("x", seen.etag)

    now = bucket.read("x")
    assert now is not None
    assert bucket.delete("x", now.etag)
    assert not bucket.delete("x", now.etag)
    assert not bucket.replace("x", "fourth", now.etag)
    assert bucket.read("x") is None


def test_keys_of_any_kind_are_walked_in_order_from_anywhere(bucket: Bucket) -> None:
    for key in STRANGE:
        bucket.put(key, key)
    ordered = sorted(STRANGE, key=str.encode)
    assert [listed.key for listed in bucket.walk("p/")] == ordered
    for number, key in enumerate(ordered):
        assert [listed.key for listed in bucket.walk("p/", after=key)] == ordered[number + 1 :]


def test_a_walk_goes_on_beyond_a_thousand(bucket: Bucket) -> None:
    for number in range(1_005):
        bucket.put(f"q/{number:04}", "")
    assert len(list(bucket.walk("q/"))) == 1_005


def test_a_listing_and_a_head_tell_the_same(bucket: Bucket) -> None:
    bucket.put("p/x", "text")
    headed = bucket.head("p/x")
    assert headed is not None
    assert [headed.listed] == list(bucket.walk("p/"))


def test_a_walk_may_start_after_more_than_a_key_may_hold(bucket: Bucket) -> None:
    bucket.put("p/é", "")
    assert [listed.key for listed in bucket.walk("p/", after="p/" + "a" * 2000)] == ["p/é"]
