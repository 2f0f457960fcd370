"""Thumbnails are requested from the endpoint a few at a time, and kept by image and version."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from aws.bucket import Bucket
from console.answers.thumbnails import (
    REQUESTS_AT_ONCE,
    REST_SECONDS,
    NoThumbnail,
    ThumbnailCache,
)
from domain.keys import ACTIVE_MODEL
from tests.support.fakes.aws import FakeS3, error
from tests.support.fakes.clock import MonotonicClock
from tests.support.fakes.many_answers import ACTIVE, ThumbnailEndpoint, jpeg
from tests.support.worlds.uploads import model_error

IMAGE = "inbox/a.jpg"


@pytest.fixture
def s3() -> FakeS3:
    s3 = FakeS3()
    s3.put_object(Bucket="bucket", Key=ACTIVE_MODEL, Body=ACTIVE.to_json())
    s3.put_object(Bucket="bucket", Key=IMAGE, Body=jpeg(1))
    return s3


def etag(s3: FakeS3) -> str:
    return s3.objects[IMAGE].etag


def cache(
    s3: FakeS3,
    folder: Path,
    endpoint: ThumbnailEndpoint,
    time: MonotonicClock | None = None,
    most: int = 100,
) -> ThumbnailCache:
    client: Any = s3
    runtime: Any = endpoint
    path = folder / "thumbnails.db"
    return ThumbnailCache(path, Bucket(client, "bucket"), runtime, time or MonotonicClock(), most)


def test_a_thumbnail_is_requested_once_also_by_the_next_console(s3: FakeS3, tmp_path: Path) -> None:
    endpoint = ThumbnailEndpoint()
    for _ in range(2):
        made = cache(s3, tmp_path, endpoint)
        assert [made.get(IMAGE, etag(s3)) for _ in range(3)] == [jpeg(1)] * 3
    assert endpoint.requests == 1


def test_another_version_is_another_thumbnail(s3: FakeS3, tmp_path: Path) -> None:
    made = cache(s3, tmp_path, ThumbnailEndpoint())
    before = etag(s3)
    assert made.get(IMAGE, before) == jpeg(1)
    s3.put_object(Bucket="bucket", Key=IMAGE, Body=jpeg(2))
    assert made.get(IMAGE, etag(s3)) == jpeg(2)
    assert made.get(IMAGE, before) == jpeg(1)


def test_an_image_that_is_gone_overwritten_or_refused_has_none_for_good(
    s3: FakeS3, tmp_path: Path
) -> None:
    endpoint = ThumbnailEndpoint(answer=model_error(400, "no image"))
    made = cache(s3, tmp_path, endpoint)
    assert made.get("inbox/gone.jpg", "e") == NoThumbnail(is_final=True)
    assert made.get(IMAGE, "an older one") == NoThumbnail(is_final=True)
    assert endpoint.requests == 0
    for _ in range(3):
        assert made.get(IMAGE, etag(s3)) == NoThumbnail(is_final=True)
    assert endpoint.requests == 1


@pytest.mark.parametrize(
    "trouble", [model_error(503, "busy"), error("InvokeEndpoint", 403, "AccessDeniedException")]
)
def test_an_endpoint_in_trouble_is_left_alone_for_some_seconds(
    s3: FakeS3, tmp_path: Path, trouble: Exception
) -> None:
    endpoint, time = ThumbnailEndpoint(answer=trouble), MonotonicClock()
    made = cache(s3, tmp_path, endpoint, time)
    for _ in range(5):
        assert made.get(IMAGE, etag(s3)) == NoThumbnail(is_final=False)
    assert endpoint.requests == 1
    endpoint.answer = None
    time.now += REST_SECONDS
    assert made.get(IMAGE, etag(s3)) == jpeg(1)


def test_without_a_model_there_is_none_yet(tmp_path: Path) -> None:
    s3, time = FakeS3(), MonotonicClock()
    s3.put_object(Bucket="bucket", Key=IMAGE, Body=jpeg(1))
    made = cache(s3, tmp_path, ThumbnailEndpoint(), time)
    assert made.get(IMAGE, etag(s3)) == NoThumbnail(is_final=False)
    s3.put_object(Bucket="bucket", Key=ACTIVE_MODEL, Body=ACTIVE.to_json())
    time.now += 6
    assert made.get(IMAGE, etag(s3)) == jpeg(1)


def test_an_image_that_s3_denies_stops_no_other(s3: FakeS3, tmp_path: Path) -> None:
    def deny(operation: str, key: str) -> None:
        if key == "inbox/cold.jpg":
            raise error("GetObject", 403, "InvalidObjectState")

    s3.hook = deny
    made = cache(s3, tmp_path, ThumbnailEndpoint())
    assert made.get("inbox/cold.jpg", "e") == NoThumbnail(is_final=False), "it may be restored"
    assert made.get(IMAGE, etag(s3)) == jpeg(1)


def test_the_oldest_are_deleted(s3: FakeS3, tmp_path: Path) -> None:
    endpoint = ThumbnailEndpoint()
    made = cache(s3, tmp_path, endpoint, most=3)
    etags = []
    for colour in range(5):
        s3.put_object(Bucket="bucket", Key=IMAGE, Body=jpeg(colour))
        etags.append(etag(s3))
        assert made.get(IMAGE, etags[-1]) == jpeg(colour)
    assert [made.get(IMAGE, one) for one in etags[2:]] == [jpeg(2), jpeg(3), jpeg(4)]
    assert endpoint.requests == 5
    assert made.get(IMAGE, etags[0]) == NoThumbnail(is_final=True), "it is requested again"


def test_few_are_requested_at_once_and_few_wait(s3: FakeS3, tmp_path: Path) -> None:
    """Threads of the server that wait for thumbnails answer nothing else."""
    endpoint = ThumbnailEndpoint(delay_seconds=0.05)
    made = cache(s3, tmp_path, endpoint)
    keys = [f"inbox/{number}.jpg" for number in range(30)]
    for key in keys:
        s3.put_object(Bucket="bucket", Key=key, Body=jpeg(1))
    begin = threading.Barrier(len(keys))

    def get(key: str) -> bytes | NoThumbnail:
        begin.wait()
        return made.get(key, etag(s3))

    with ThreadPoolExecutor(len(keys)) as threads:
        answers = list(threads.map(get, keys))
    assert endpoint.most <= REQUESTS_AT_ONCE
    assert jpeg(1) in answers
    assert NoThumbnail(is_final=False) in answers


def test_a_damaged_file_is_begun_again(s3: FakeS3, tmp_path: Path) -> None:
    (tmp_path / "thumbnails.db").write_bytes(b"no database" * 100)
    assert cache(s3, tmp_path, ThumbnailEndpoint()).get(IMAGE, etag(s3)) == jpeg(1)
