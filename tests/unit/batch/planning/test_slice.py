"""A page's rows: the same object, or another one under the same key."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from aws.bucket import Bucket, Listed
from batch.planning.slice import Row
from domain.result import Version
from tests.support.fakes.aws import FakeObject, FakeS3


def test_the_same_time_in_another_zone_is_the_same_time() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    listed = Listed("inbox/a", "e", 1, noon)
    assert Row.of(listed).is_still(Version("e"), noon.astimezone(timezone(timedelta(hours=2))))
    assert not Row.of(listed).is_still(Version("e"), noon + timedelta(seconds=1))
    assert not Row.of(listed).is_still(Version("other"), noon)


def test_listed_times_are_compared_in_whole_seconds() -> None:
    s3: Any = FakeS3()
    s3.put_object(Bucket="bucket", Key="inbox/a")
    stored: FakeObject = s3.objects["inbox/a"]
    (listed,) = Bucket(s3, "bucket").walk("inbox/")
    assert listed == Listed("inbox/a", stored.etag, 0, stored.last_modified.replace(microsecond=0))
    assert Row.of(listed).is_still(
        Version(stored.etag), stored.last_modified.replace(microsecond=0)
    )


def test_a_row_that_knows_its_version_is_no_other_one_of_the_same_bytes_and_second() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    row = replace(Row.of(Listed("inbox/a", "e", 1, noon)), version="v1")
    assert row.is_still(Version("e", "v1"), noon)
    assert not row.is_still(Version("e", "v2"), noon)
