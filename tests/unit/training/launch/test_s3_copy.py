"""Images and weights in S3 that the training role may not read are copied to where it may."""

import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from moto import mock_aws
from rich.console import Console

from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.launch import input_channels, s3_copy
from training.launch.input_channels import Inputs, Room

STAGE = "sortbox-dev-bucket"
ROOM = Room(50)


def refused(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "CopyObject",
    )


@dataclass
class Buckets:
    """S3 as far as listing and copying go: size and ETag by bucket and key."""

    objects: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    copied: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    """Keys that the user may not read."""
    code: str = "AccessDenied"
    in_parts: list[str] = field(default_factory=list)
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, bucket: str, key: str, size: int = 9, etag: str = "") -> None:
        self.objects[bucket, key] = (size, etag or f'"{key}"')

    def get_paginator(self, operation: str) -> "Buckets":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:
        found = [
            {"Key": key, "Size": size, "ETag": etag}
            for (bucket, key), (size, etag) in sorted(self.objects.items())
            if bucket == Bucket and key.startswith(Prefix)
        ]
        yield {"Contents": found[:3]}
        yield {"Contents": found[3:]}

    def head_bucket(self, *, Bucket: str) -> dict[str, Any]:
        return {"BucketRegion": "eu-west-1" if Bucket == "far" else "us-east-1"}

    class meta:
        region_name = "us-east-1"

    def copy_object(self, **request: Any) -> None:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            self._copy(request)
        finally:
            with self.lock:
                self.running -= 1

    def copy(
        self, CopySource: dict[str, str], Bucket: str, Key: str, ExtraArgs: Any, Config: Any
    ) -> None:
        self.in_parts.append(Key)
        self._copy({"CopySource": CopySource, "Bucket": Bucket, "Key": Key, **ExtraArgs})

    def _copy(self, request: dict[str, Any]) -> None:
        source = request["CopySource"]
        if source["Key"] in self.denied:
            raise refused(self.code, 403)
        size, etag = self.objects[source["Bucket"], source["Key"]]
        if request["CopySourceIfMatch"] != etag:
            raise refused("PreconditionFailed", 412)
        with self.lock:
            self.requests.append(request)
            self.copied.append(request["Key"])
            self.objects[request["Bucket"], request["Key"]] = (size, etag)


def photos(bucket: str = "mine", prefix: str = "pets") -> Buckets:
    s3 = Buckets()
    for name in ("cat", "dog"):
        for number in range(4):
            s3.put(bucket, f"{prefix}/{name}/{number}.png")
    return s3


def prepared(
    s3: Buckets, source: str, weights: str | None = None, room: Room = ROOM
) -> tuple[dict[str, str], str]:
    """The addresses of the channels, and what is said."""
    client: Any = s3
    console = Console(width=400, file=io.StringIO(), force_terminal=False)
    inputs = Inputs(source, weights, TrainConfig(), room)
    channels = input_channels.prepare(client, STAGE, inputs, console)
    assert isinstance(console.file, io.StringIO)
    return dict(channels.uris), console.file.getvalue()


def identity(s3: Buckets, source: str, weights: str | None = None) -> dict[str, str]:
    client: Any = s3
    inputs = Inputs(source, weights, TrainConfig(), ROOM)
    return input_channels.prepare(client, STAGE, inputs, Console(file=io.StringIO())).identity


@pytest.mark.parametrize(("new", "needs"), [(1000, 2250), (0, 1250)])
def test_images_that_fill_this_machines_disk_are_refused(new: int, needs: int) -> None:
    """Images that are not in S3 yet are there twice, as objects and in the job."""
    Room(None, lambda: needs).check(1000, new)
    with pytest.raises(TrainingFailed, match=r"are free on its disk\. Free some space"):
        Room(None, lambda: needs - 1).check(1000, new)


def test_a_full_disk_refuses_only_what_would_be_written() -> None:
    """All images are in S3: a job may run already, and the command only watches it."""
    s3, full = photos(), Room(50, lambda: 0)
    with pytest.raises(TrainingFailed, match="Free some space"):
        prepared(s3, "s3://mine/pets", room=full)
    assert not s3.copied, "images are refused before they are copied"
    prepared(s3, "s3://mine/pets")
    prepared(s3, "s3://mine/pets", room=full)
    prepared(photos(STAGE, "training/mine"), f"s3://{STAGE}/training/mine", room=full)


def keys_of(s3: Buckets) -> set[str]:
    return {key for bucket, key in s3.objects if bucket == STAGE}


def test_data_of_another_bucket_are_copied_to_where_the_training_role_reads() -> None:
    """infra/stacks/roles.yml: the role reads `training/` of the stage's bucket, nothing else."""
    s3 = photos()
    uris, said = prepared(s3, "s3://mine/pets")
    below = uris["data"].removeprefix(f"s3://{STAGE}/")
    assert below.startswith("training/own/")
    assert keys_of(s3) == {f"{below}{name}/{n}.png" for name in ("cat", "dog") for n in range(4)}
    assert "8 objects" in said
    assert below in said


def test_data_of_the_stages_bucket_outside_of_its_training_prefix_are_copied() -> None:
    s3 = photos(STAGE, "inbox/pets")
    uris, _ = prepared(s3, f"s3://{STAGE}/inbox/pets")
    assert uris["data"].startswith(f"s3://{STAGE}/training/own/")
    assert len(s3.copied) == 8


def test_data_that_the_role_reads_are_used_where_they_are() -> None:
    s3 = photos(STAGE, "training/mine")
    uris, _ = prepared(s3, f"s3://{STAGE}/training/mine")
    assert uris == {"data": f"s3://{STAGE}/training/mine"}
    assert not s3.copied


def test_data_that_changed_where_they_are_are_other_data() -> None:
    """Otherwise the same command joins a job that runs on the images of before."""
    s3, source = photos(STAGE, "training/mine"), f"s3://{STAGE}/training/mine"
    weights = f"s3://{STAGE}/training/w/resnet50.pth"
    s3.put(STAGE, "training/w/resnet50.pth")
    before = identity(s3, source, weights)
    assert identity(s3, source, weights) == before
    s3.put(STAGE, "training/w/resnet50.pth", etag='"other"')
    assert identity(s3, source, weights)["weights"] != before["weights"]
    for key, etag in (("cat/0.png", '"other"'), ("cat/new.png", "")):
        s3.put(STAGE, f"training/mine/{key}", etag=etag)
        after = identity(s3, source, weights)
        assert after["data"] != before["data"], f"{key} is not the image that it was"
        before = after


def test_a_prefix_with_an_empty_segment_is_copied_because_a_job_fails_on_it() -> None:
    """A job's FailureReason: "S3 key: s3://… has an illegal char sub-sequence '//' in it"."""
    s3 = photos(STAGE, "training//mine")
    uris, _ = prepared(s3, f"s3://{STAGE}/training//mine")
    assert uris["data"].startswith(f"s3://{STAGE}/training/own/")
    assert "//" not in uris["data"].removeprefix("s3://")


@pytest.mark.parametrize("key", ["training/mine/cat//", "training/mine/cat//4.png"])
def test_a_key_with_an_empty_segment_is_a_sentence_before_the_job(key: str) -> None:
    s3 = photos(STAGE, "training/mine")
    s3.put(STAGE, key)
    with pytest.raises(TrainingFailed, match=r"1 keys at .* cannot be files.*empty"):
        prepared(s3, f"s3://{STAGE}/training/mine")


def test_what_is_there_is_not_copied_again_and_the_rest_of_an_interrupted_copy_is() -> None:
    s3 = photos()
    uris, _ = prepared(s3, "s3://mine/pets")
    prepared(s3, "s3://mine/pets")
    assert len(s3.copied) == 8
    lost = s3.copied[5]
    del s3.objects[STAGE, lost]
    assert prepared(s3, "s3://mine/pets/")[0] == uris
    assert s3.copied[8:] == [lost]


def test_data_that_changed_have_another_prefix_and_the_same_data_elsewhere_the_same() -> None:
    s3 = photos()
    first, _ = prepared(s3, "s3://mine/pets")
    s3.put("mine", "pets/cat/0.png", 9, '"other"')
    second, _ = prepared(s3, "s3://mine/pets")
    assert second != first, "The run goes on from checkpoints of other images."
    moved = Buckets({("theirs", f"a/b{k[4:]}"): v for (b, k), v in photos().objects.items()})
    assert prepared(moved, "s3://theirs/a/b")[0] == first


def test_an_object_that_changes_meanwhile_is_not_copied() -> None:
    class Racing(Buckets):
        def copy_object(self, **request: Any) -> None:
            self.objects["mine", "pets/cat/0.png"] = (9, '"newer"')
            super().copy_object(**request)

    s3 = Racing(photos().objects)
    with pytest.raises(TrainingFailed, match=r"changed while .* run the command again"):
        prepared(s3, "s3://mine/pets")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("AccessDenied", r"pets/dog/1\.png may not be read by you.*s3:GetObject"),
        ("InvalidObjectState", "archived.*[Rr]estore"),
        ("InternalError", "cannot be copied: InternalError"),
    ],
)
def test_what_a_person_may_not_read_is_a_sentence_before_a_job_starts(
    code: str, sentence: str
) -> None:
    s3 = photos()
    s3.denied, s3.code = {"pets/dog/1.png"}, code
    with pytest.raises(TrainingFailed, match=sentence):
        prepared(s3, "s3://mine/pets")


def test_tags_are_not_asked_for_which_takes_a_permission_of_its_own() -> None:
    """CopyObject copies tags by default, which needs s3:GetObjectTagging and PutObjectTagging."""
    s3 = photos()
    prepared(s3, "s3://mine/pets")
    assert {request["TaggingDirective"] for request in s3.requests} == {"REPLACE"}


def test_an_object_beyond_five_gigabytes_is_copied_in_parts() -> None:
    s3 = photos()
    s3.put("mine", "w/resnet50.pth", 5 * 10**9 + 1)
    uris, _ = prepared(s3, "s3://mine/pets", "s3://mine/w/resnet50.pth")
    assert [key.rpartition("/")[2] for key in s3.in_parts] == ["resnet50.pth"]
    assert uris["weights"].startswith(f"s3://{STAGE}/training/own/")


def test_weights_are_one_file_and_what_else_begins_with_its_name_stays() -> None:
    s3 = photos()
    for name in ("resnet50.pth", "resnet50.pth.old"):
        s3.put("mine", f"w/{name}")
    uris, _ = prepared(s3, "s3://mine/pets", "s3://mine/w/resnet50.pth")
    prefix = uris["weights"].removeprefix(f"s3://{STAGE}/")
    assert {key for key in keys_of(s3) if key.startswith(prefix)} == {f"{prefix}resnet50.pth"}
    with pytest.raises(TrainingFailed, match=r"2 objects at s3://mine/w.*one file"):
        prepared(s3, "s3://mine/pets", "s3://mine/w")
    with pytest.raises(TrainingFailed, match="no weights at s3://mine/none"):
        prepared(s3, "s3://mine/pets", "s3://mine/none.pth")


def test_weights_that_the_role_reads_are_used_where_they_are() -> None:
    s3 = photos()
    s3.put(STAGE, "training/weights/1/resnet50.pth")
    weights = f"s3://{STAGE}/training/weights/1/resnet50.pth"
    assert prepared(s3, "s3://mine/pets", weights)[0]["weights"] == weights


def test_a_name_that_is_too_long_below_the_new_prefix_is_a_sentence_before_anything_is_copied() -> (
    None
):
    s3 = photos()
    s3.put("mine", f"pets/cat/{'/'.join(['d' * 200] * 5)}/1.png")
    with pytest.raises(TrainingFailed, match="1,024 bytes"):
        prepared(s3, "s3://mine/pets")
    assert not s3.copied


def test_data_that_do_not_fit_on_a_jobs_disk_are_a_sentence_before_they_are_copied() -> None:
    s3 = photos()
    s3.put("mine", "pets/cat/9.png", 200 * 10**9)
    with pytest.raises(TrainingFailed, match=r"200\.0 GB.*50 GB: pass --volume-gb 251"):
        prepared(s3, "s3://mine/pets")
    assert not s3.copied
    prepared(s3, "s3://mine/pets", room=Room(251))
    prepared(s3, "s3://mine/pets", room=Room(None))


def test_no_more_copies_run_at_once_than_there_are_threads() -> None:
    s3 = Buckets()
    for number in range(300):
        s3.put("mine", f"pets/{'cat' if number % 2 else 'dog'}/{number}.png")
    prepared(s3, "s3://mine/pets")
    assert 0 < s3.most <= s3_copy.THREADS


def test_another_region_and_many_images_are_said_with_what_they_cost() -> None:
    far = photos("far")
    assert "from eu-west-1 to us-east-1" in prepared(far, "s3://far/pets")[1]
    million = s3_copy.Contents(10**6, 200 * 10**9, "0" * 64)
    said = s3_copy.announcement("s3://mine/pets", million, "s3://b/training/own/0/", "")
    assert "1,000,000 objects (200.0 GB)" in said
    assert "about USD 5.00" in said
    assert "resumes" in said


def test_boto3_and_an_s3_that_is_not_ours_take_the_requests() -> None:
    """botocore checks the parameters against the service's model."""
    with mock_aws():
        s3 = boto3.client(
            "s3", "us-east-1", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret"
        )
        for bucket in ("mine", STAGE):
            s3.create_bucket(Bucket=bucket)
        bodies = {"a b+%ü.png": b"small", "large.png": bytes(6 * 2**20)}
        for name, body in bodies.items():
            s3.put_object(Bucket="mine", Key=f"pets/{name}", Body=body, Tagging="a=b")
        source = s3_copy.S3Location("mine", "pets/")
        contents = s3_copy.measure(s3, source)
        uri = s3_copy.copy(s3, source, contents, STAGE, lambda done, of: None)
        prefix = uri.removeprefix(f"s3://{STAGE}/")
        for name, body in bodies.items():
            assert s3.get_object(Bucket=STAGE, Key=prefix + name)["Body"].read() == body
        assert (contents.count, contents.size) == (2, 5 + 6 * 2**20)
        [*_, large] = source.objects(s3)
        parts = TransferConfig(multipart_threshold=2**20, multipart_chunksize=5 * 2**20)
        s3_copy.copy_in_parts(s3, "mine", large, STAGE, "training/parts.png", parts)
        copied = s3.get_object(Bucket=STAGE, Key="training/parts.png")
        assert copied["Body"].read() == bodies["large.png"]
        assert copied["ETag"].endswith('-2"')


def test_a_bucket_of_another_region_is_listed_where_it_is() -> None:
    """botocore follows the answer that names the region, so one client lists any bucket."""
    s3 = boto3.client(
        "s3", "us-east-1", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret"
    )
    urls: list[str] = []
    listing = (
        b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Contents>'
        b"<Key>pets/1.png</Key><Size>9</Size><ETag>&quot;e&quot;</ETag></Contents>"
        b"<IsTruncated>false</IsTruncated></ListBucketResult>"
    )
    redirect = b"<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>"

    class Raw:
        def __init__(self, body: bytes) -> None:
            self.body = body

        def stream(self) -> Iterator[bytes]:
            yield self.body

    def answer(request: Any, **_: Any) -> AWSResponse:
        urls.append(request.url)
        if "eu-west-1" in request.url:
            return AWSResponse(request.url, 200, HTTPHeaders(), Raw(listing))
        elsewhere = HTTPHeaders()
        elsewhere["x-amz-bucket-region"] = "eu-west-1"
        return AWSResponse(request.url, 301, elsewhere, Raw(redirect))

    s3.meta.events.register("before-send.s3", answer)  # type: ignore[arg-type]  # its answer counts
    [found] = s3_copy.S3Location("photos", "pets").objects(s3)
    assert (found.key, found.size, found.etag) == ("pets/1.png", 9, '"e"')
    assert "eu-west-1" in urls[-1]
