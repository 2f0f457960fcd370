"""The in-memory S3 of the unit tests answers as the emulator does, story by story."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from infra.local import processes
from tests.support.fakes.aws import FakeS3

EMULATOR = Path(__file__).parents[2] / ".local/cloud-venv/bin/python"
START = "from ministack.app import main; main()"
PATIENCE_SECONDS = 30

B = {"Bucket": "bucket"}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not EMULATOR.exists():
        pytest.skip(f"{EMULATOR} does not exist: `make env` builds it")
    home = tmp_path_factory.mktemp("emulator")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        # It would look for containers of its own there, and listen on two more ports.
        "DOCKER_HOST": "unix:///nonexistent",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    argv = [str(EMULATOR), "-c", START]
    child = processes.start(argv, env, home / "log", "test-emulator", cwd=home)
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    try:
        until_it_answers(client, child)
        yield client
    finally:
        client.close()
        child.stop(grace=5)


def until_it_answers(client: Any, child: processes.Child) -> None:
    """A port tells nobody that it is being listened on: this is the one place that has to ask."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while child.is_alive and time.monotonic() < deadline:
        try:
            client.list_buckets()
        except (ConnectionError, HTTPClientError, ClientError):
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"the emulator did not answer: {child.log.read_text()[-500:]}")


@pytest.fixture(params=["fake", pytest.param("emulator", marks=pytest.mark.flow)])
def s3(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An empty versioned bucket."""
    if request.param == "fake":
        yield FakeS3()
        return
    client = request.getfixturevalue("emulator")
    client.create_bucket(**B)
    client.put_bucket_versioning(**B, VersioningConfiguration={"Status": "Enabled"})
    yield client
    empty(client)


def empty(client: Any) -> None:
    for page in client.get_paginator("list_object_versions").paginate(**B):
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            client.delete_object(**B, Key=version["Key"], VersionId=version["VersionId"])
    client.delete_bucket(**B)


def refused(act: Any, **request: Any) -> int:
    """The status that the request is refused with."""
    with pytest.raises(ClientError) as raised:
        act(**B, **request)
    status: int = raised.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


def test_an_absent_object_is_404(s3: Any) -> None:
    assert refused(s3.head_object, Key="a") == 404
    assert refused(s3.get_object, Key="a") == 404


def test_what_is_put_is_got_with_what_was_said_about_it(s3: Any) -> None:
    put = s3.put_object(**B, Key="a", Body=b"cat", ContentType="text/x", Metadata={"who": "me"})
    for found in (s3.get_object(**B, Key="a"), s3.head_object(**B, Key="a")):
        assert found["ETag"] == put["ETag"] == '"d077f244def8a70e5ea758bd8352fcd8"'
        assert found["VersionId"] == put["VersionId"]
        assert found["ContentLength"] == 3
        assert found["ContentType"] == "text/x"
        assert found["Metadata"] == {"who": "me"}
        assert found["LastModified"].microsecond == 0
    assert s3.get_object(**B, Key="a")["Body"].read() == b"cat"


def test_a_claim_is_taken_once(s3: Any) -> None:
    s3.put_object(**B, Key="a", Body=b"first", IfNoneMatch="*")
    assert refused(s3.put_object, Key="a", Body=b"second", IfNoneMatch="*") == 412
    assert s3.get_object(**B, Key="a")["Body"].read() == b"first"


def test_a_deleted_claim_can_be_taken_again(s3: Any) -> None:
    s3.put_object(**B, Key="a", Body=b"first", IfNoneMatch="*")
    s3.delete_object(**B, Key="a")
    s3.put_object(**B, Key="a", Body=b"second", IfNoneMatch="*")
    assert s3.get_object(**B, Key="a")["Body"].read() == b"second"


def test_a_put_matches_the_object_it_saw(s3: Any) -> None:
    first = s3.put_object(**B, Key="a", Body=b"first")["ETag"]
    s3.put_object(**B, Key="a", Body=b"second", IfMatch=first)
    assert refused(s3.put_object, Key="a", Body=b"third", IfMatch=first) == 412
    assert s3.get_object(**B, Key="a")["Body"].read() == b"second"


def begun(s3: Any, *sources: str) -> dict[str, Any]:
    """An upload of these objects' contents, and the request that completes it."""
    upload = s3.create_multipart_upload(**B, Key="whole", ContentType="text/csv")["UploadId"]
    target = {"Key": "whole", "UploadId": upload}
    parts = []
    for number, source in enumerate(sources, 1):
        place = {"Bucket": "bucket", "Key": source}
        copied = s3.upload_part_copy(**B, **target, PartNumber=number, CopySource=place)
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    last = s3.upload_part(**B, **target, PartNumber=len(parts) + 1, Body=b"rest")
    parts.append({"PartNumber": len(parts) + 1, "ETag": last["ETag"]})
    return target | {"MultipartUpload": {"Parts": parts}}


def test_parts_become_an_object_only_as_it_was_seen(s3: Any) -> None:
    part = b"x" * (5 * 2**20)
    s3.put_object(**B, Key="part ü", Body=part)
    s3.complete_multipart_upload(**B, **begun(s3, "part ü"), IfNoneMatch="*")
    whole = s3.get_object(**B, Key="whole")
    assert whole["Body"].read() == part + b"rest"
    assert whole["ETag"].endswith('-2"')

    complete = s3.complete_multipart_upload
    assert refused(complete, **begun(s3, "part ü"), IfNoneMatch="*") == 412
    late = begun(s3, "part ü")
    complete(**B, **begun(s3), IfMatch=whole["ETag"])
    assert s3.get_object(**B, Key="whole")["Body"].read() == b"rest"
    assert refused(complete, **late, IfMatch=whole["ETag"]) == 412


def test_a_part_that_is_not_the_last_has_five_mebibytes() -> None:
    """S3 says EntityTooSmall (its reference, "Multipart upload limits"); the emulator takes it."""
    s3: Any = FakeS3()
    s3.put_object(**B, Key="small", Body=b"x" * (5 * 2**20 - 1))
    assert refused(s3.complete_multipart_upload, **begun(s3, "small")) == 400


def test_a_span_is_of_the_object_that_was_seen(s3: Any) -> None:
    etag = s3.put_object(**B, Key="a", Body=b"0123456789")["ETag"]
    assert s3.get_object(**B, Key="a", IfMatch=etag, Range="bytes=8-99")["Body"].read() == b"89"
    assert refused(s3.get_object, Key="a", IfMatch=etag, Range="bytes=10-99") == 416
    assert refused(s3.get_object, Key="a", IfMatch='"another"', Range="bytes=8-99") == 412


def test_nothing_matches_an_object_that_is_gone(s3: Any) -> None:
    first = s3.put_object(**B, Key="a", Body=b"first")["ETag"]
    s3.delete_object(**B, Key="a")
    assert refused(s3.put_object, Key="a", Body=b"second", IfMatch=first) == 404


def test_a_deletion_matches_the_object_it_saw(s3: Any) -> None:
    first = s3.put_object(**B, Key="a", Body=b"first")["ETag"]
    second = s3.put_object(**B, Key="a", Body=b"second")["ETag"]
    assert refused(s3.delete_object, Key="a", IfMatch=first) == 412
    s3.delete_object(**B, Key="a", IfMatch=second)
    assert refused(s3.head_object, Key="a") == 404


def test_deleting_what_is_absent_is_no_error(s3: Any) -> None:
    s3.delete_object(**B, Key="a")


ODD = ["in/a", "in/a.jpg", "in/ab", "in/cat", "in/cat (1).jpg", "in/é", "in/🐈", "in/x\n", "in/z"]


def test_keys_are_listed_in_the_order_of_their_utf8(s3: Any) -> None:
    for key in reversed(ODD):
        s3.put_object(**B, Key=key, Body=b"x")
    listed = [found["Key"] for found in s3.list_objects_v2(**B)["Contents"]]
    assert listed == sorted(ODD, key=str.encode)


def test_a_listing_goes_on_where_its_page_ended(s3: Any) -> None:
    for key in ODD:
        s3.put_object(**B, Key=key, Body=b"x")
    first = s3.list_objects_v2(**B, Prefix="in/", MaxKeys=4)
    assert first["IsTruncated"]
    token = first["NextContinuationToken"]
    rest = s3.list_objects_v2(**B, Prefix="in/", ContinuationToken=token)
    assert not rest["IsTruncated"]
    assert [found["Key"] for found in first["Contents"] + rest["Contents"]] == sorted(
        ODD, key=str.encode
    )


def test_a_listing_starts_after_a_key_whether_it_is_there_or_not(s3: Any) -> None:
    for key in ("a", "b", "c"):
        s3.put_object(**B, Key=key, Body=b"x")
    for after in ("a", "aa"):
        listed = s3.list_objects_v2(**B, StartAfter=after)["Contents"]
        assert [found["Key"] for found in listed] == ["b", "c"]


def test_an_empty_listing_has_no_contents(s3: Any) -> None:
    assert "Contents" not in s3.list_objects_v2(**B, Prefix="nothing/")


def test_a_delimiter_rolls_keys_up(s3: Any) -> None:
    for key in ("in/a.jpg", "in/trip/1", "in/trip/2"):
        s3.put_object(**B, Key=key, Body=b"x")
    answer = s3.list_objects_v2(**B, Prefix="in/", Delimiter="/")
    assert [found["Key"] for found in answer["Contents"]] == ["in/a.jpg"]
    assert [found["Prefix"] for found in answer["CommonPrefixes"]] == ["in/trip/"]


def test_a_listing_tells_size_and_etag_of_each(s3: Any) -> None:
    etag = s3.put_object(**B, Key="a", Body=b"cat")["ETag"]
    (found,) = s3.list_objects_v2(**B)["Contents"]
    assert (found["Key"], found["Size"], found["ETag"]) == ("a", 3, etag)
