"""The emulator on a small disk of its own: a full one is told, and nothing stored is lost."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from infra.local.persistence.disk import RESERVE_BYTES
from tests.contract.local_guard.conftest import BUCKET, Servers, started

DISK_BYTES = RESERVE_BYTES + 40 * 1024 * 1024
MB = 1024 * 1024


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("small")
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root on Linux")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def servers(small_disk: Path) -> Iterator[Servers]:
    with started(small_disk) as servers:
        yield servers


def test_uploads_end_with_a_sentence_and_nothing_stored_is_lost(servers: Servers) -> None:
    s3 = servers.client("s3")
    stored = 0

    def upload_until_refused() -> None:
        nonlocal stored
        for stored in range(100):
            s3.put_object(Bucket=BUCKET, Key=f"{stored}.bin", Body=bytes([stored]) * 4 * MB)

    with pytest.raises(ClientError) as refusal:
        upload_until_refused()
    error = refusal.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 507
    assert error["Error"]["Code"] == "InsufficientStorage"
    assert "Free some space, then try again." in error["Error"]["Message"]
    assert 5 <= stored <= 10
    listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert {each["Key"] for each in listed} == {f"{number}.bin" for number in range(stored)}
    for number in range(stored):
        body = s3.get_object(Bucket=BUCKET, Key=f"{number}.bin")["Body"].read()
        assert body == bytes([number]) * 4 * MB
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "0.bin"}, {"Key": "1.bin"}]})
    s3.put_object(Bucket=BUCKET, Key="after.bin", Body=bytes(4 * MB))
    assert s3.head_object(Bucket=BUCKET, Key="after.bin")["ContentLength"] == 4 * MB


def test_a_disk_that_another_program_fills_is_told_as_well(
    servers: Servers, small_disk: Path
) -> None:
    s3, sqs = servers.client("s3"), servers.client("sqs")
    s3.put_object(Bucket=BUCKET, Key="kept.txt", Body=b"kept")
    queue = sqs.create_queue(QueueName="full")["QueueUrl"]
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises(ClientError, match="InsufficientStorage"):
        s3.put_object(Bucket=BUCKET, Key="kept.txt", Body=b"other")
    with pytest.raises(ClientError, match="InsufficientStorage"):
        sqs.send_message(QueueUrl=queue, MessageBody="x" * 900_000)
    filler.unlink()
    assert s3.get_object(Bucket=BUCKET, Key="kept.txt")["Body"].read() == b"kept"
    sqs.send_message(QueueUrl=queue, MessageBody="again")


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        for _ in range(DISK_BYTES // 4096):
            filler.write(bytes(4096))
