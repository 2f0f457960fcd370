"""Storing while services fail, and reading what others store at a bounded cost."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aws.bucket import Bucket
from console.corrections.service import WHOLE_PASS_SECONDS, Corrections
from domain.corrections.form import Correction, to_json
from domain.keys import CORRECTIONS
from infra.review.stored import CorrectionStore
from tests.support.builders import vocabulary as some
from tests.support.fakes.aws import FakeS3, error
from tests.support.fakes.clock import MonotonicClock


@pytest.fixture
def s3() -> Any:
    return FakeS3()


@pytest.fixture
def bucket(s3: Any) -> Bucket:
    bucket = Bucket(s3, "bucket")
    bucket.put("inbox/a.jpg", "a")
    return bucket


def service(bucket: Bucket, folder: Path, clock: MonotonicClock | None = None) -> Corrections:
    store = CorrectionStore(bucket, folder)
    return Corrections(bucket, store, lambda: "anna", clock or MonotonicClock())


def an_item(bucket: Bucket, number: int = 1) -> dict[str, Any]:
    head = bucket.head("inbox/a.jpg")
    assert head is not None
    name = some.name_after(datetime.now(UTC), f"{number:016x}")
    return {
        "name": name,
        "image": "inbox/a.jpg",
        "etag": head.listed.etag,
        "from": "skirt",
        "to": "dress",
        "withdraws": None,
    }


@pytest.mark.parametrize("operation", ["HeadObject", "PutObject"])
def test_what_s3_does_not_take_now_is_to_be_sent_again(
    operation: str, s3: Any, bucket: Bucket, tmp_path: Path
) -> None:
    corrections, item = service(bucket, tmp_path), an_item(bucket)

    def fail(name: str, key: str) -> None:
        if name == operation:
            raise error(operation, 503, "SlowDown")

    s3.hook = fail
    (result,) = corrections.write([item])
    assert "throttling" in result["later"]
    assert "stored" not in result
    s3.hook = lambda name, key: None
    assert [*bucket.walk(CORRECTIONS)] == []
    (again,) = corrections.write([item])
    assert again["stored"]["to"] == "dress"


def test_what_s3_took_before_its_answer_was_lost_is_stored_once(
    s3: Any, bucket: Bucket, tmp_path: Path
) -> None:
    corrections, item = service(bucket, tmp_path), an_item(bucket)
    put = s3.put_object

    class Lossy:
        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def put_object(self, **options: Any) -> Any:
            put(**options)
            raise error("PutObject", 500, "InternalError")

    lossy: Any = Lossy()
    (lost,) = service(Bucket(lossy, "bucket"), tmp_path).write([item])
    assert "later" in lost
    (again,) = corrections.write([item])
    assert again["stored"]["who"] == "anna"
    assert len([*bucket.walk(CORRECTIONS)]) == 1


def test_whole_passes_take_a_twentieth_of_the_time(s3: Any, bucket: Bucket, tmp_path: Path) -> None:
    clock = MonotonicClock()
    seconds_of_a_listing = 30.0
    starts: list[str] = []
    s3_list = s3.list_objects_v2

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def list_objects_v2(self, **options: Any) -> Any:
            starts.append(options.get("StartAfter", ""))
            clock.now += seconds_of_a_listing
            return s3_list(**options)

    slow: Any = Slow()
    corrections = service(Bucket(slow, "bucket"), tmp_path, clock)
    now = datetime.now(UTC)
    name = some.name_after(now - timedelta(days=1), "1" * 16)
    old = Correction(name, "inbox/a.jpg", "e", "skirt", "dress", "bob")
    bucket.put(old.key, to_json(old))
    assert corrections.poll()[0] == 1
    assert corrections.is_read
    late = replace(old, name=some.name_after(now - timedelta(days=2), "2" * 16))
    bucket.put(late.key, to_json(late))
    while clock.now < 30 + 20 * seconds_of_a_listing - 31:
        assert corrections.poll()[0] == 0, "it is older than the last one"
    assert all(starts[1:]), "only what is new is listed"
    clock.now += WHOLE_PASS_SECONDS
    assert corrections.poll()[0] == 1
    assert starts[-1] == ""
