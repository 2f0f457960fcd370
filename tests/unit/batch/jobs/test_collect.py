"""Outputs of a job found by the keys of a page's rows, and what an output may turn out to be."""

from typing import Any

import pytest

from aws.bucket import Bucket, Listed
from batch.jobs.collect import NoReply, output_order, outputs, reply_in
from batch.planning.slice import Row
from domain.reply import MAX_BYTES, to_json
from tests.support.fakes.aws import FakeS3
from tests.support.worlds.uploads import model, reply_to

INPUTS = "inbox/trip/"
MANIFEST = "work/runs/t/n/plans/1-000000-p/0.manifest"
OUTPUT = "work/runs/t/n/output/1-000000-0/"


@pytest.fixture
def s3() -> FakeS3:
    return FakeS3()


def bucket(s3: FakeS3) -> Bucket:
    client: Any = s3
    return Bucket(client, "bucket")


def rows(*names: str) -> tuple[Row, ...]:
    of = [Row(INPUTS + name, "e", 1, "2026-01-01T00:00:00+00:00") for name in names]
    return tuple(sorted(of, key=output_order))


def write(s3: FakeS3, *names: str) -> None:
    for name in names:
        s3.put_object(Bucket="bucket", Key=f"{OUTPUT}{name}.out", Body=name)


def found(s3: FakeS3, page: tuple[Row, ...]) -> dict[str, str]:
    listed = outputs(bucket(s3), INPUTS, OUTPUT, page, MANIFEST)
    return {key: each.key for key, each in listed.items()}


def test_outputs_are_matched_by_name_and_what_is_missing_is_not_there(s3: FakeS3) -> None:
    write(s3, "a", "a.jpg", "day/c.jpg", "not asked for.jpg")
    page = rows("a", "a.jpg", "b.jpg", "day/c.jpg")
    assert found(s3, page) == {
        f"{INPUTS}{name}": f"{OUTPUT}{name}.out" for name in ("a", "a.jpg", "day/c.jpg")
    }


def test_a_page_lists_no_more_than_its_own_part_of_a_large_job(s3: FakeS3) -> None:
    names = [f"{number:05}.jpg" for number in range(5_000)]
    write(s3, *names)
    page = rows(*names[2_000:2_500])
    assert len(found(s3, page)) == 500
    assert s3.calls["ListObjectsV2"] == 1


def test_an_image_that_is_named_like_an_output_is_not_one(s3: FakeS3) -> None:
    write(s3, "a.out")
    assert found(s3, rows("a", "a.out")) == {f"{INPUTS}a.out": f"{OUTPUT}a.out.out"}


def output(s3: FakeS3, text: str) -> Listed:
    s3.put_object(Bucket="bucket", Key=f"{OUTPUT}a.out", Body=text)
    return outputs(bucket(s3), INPUTS, OUTPUT, rows("a"), MANIFEST)[f"{INPUTS}a"]


@pytest.mark.parametrize("content", [b"cat", b"junk"], ids=["labelled", "refused"])
def test_a_reply_is_read_as_the_container_wrote_it(s3: FakeS3, content: bytes) -> None:
    reply = reply_to(content, model(1))
    assert reply_in(bucket(s3), output(s3, to_json(reply))) == reply


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the transform job wrote not a reply"),
        ("<html>", "the transform job wrote not a reply"),
        ('{"labels": []}', "the transform job wrote not a reply"),
        ("x" * MAX_BYTES, "the transform job wrote not a reply"),
        ("x" * (MAX_BYTES + 1), f"the transform job wrote {MAX_BYTES + 1} bytes for it"),
    ],
    ids=["empty", "html", "incomplete", "long", "too long"],
)
def test_what_is_no_reply_is_no_evidence(s3: FakeS3, text: str, why: str) -> None:
    reply = reply_in(bucket(s3), output(s3, text))
    assert isinstance(reply, NoReply)
    assert reply.why.startswith(why)


def test_an_output_that_is_not_there_or_gone_is_no_evidence(s3: FakeS3) -> None:
    assert reply_in(bucket(s3), None) == NoReply("the transform job wrote nothing for it")
    listed = output(s3, "{}")
    s3.delete_object(Bucket="bucket", Key=listed.key)
    gone = NoReply("what the transform job wrote for it is gone")
    assert reply_in(bucket(s3), listed) == gone
