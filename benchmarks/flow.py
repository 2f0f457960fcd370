"""From inbox to outbox: images a second and latency through the running local cloud, with memory.

`make bench-flow`: singles one and sixteen at a time, then a folder. Load goes to 127.0.0.1 only
and is bounded by the counts below. Compare figures of one run, never those of two machines.
"""

import argparse
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import psutil
from botocore.config import Config
from botocore.exceptions import ClientError
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from domain import keys, result
from domain.scope import Scope
from infra import photos

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

POLL_SECONDS = 0.01
TIMEOUT_SECONDS = 300
SIZE = (500, 375)


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """`seconds` are per image from the start of its upload to its answer; none for a folder."""

    what: str
    images: int
    wall_seconds: float
    seconds: tuple[float, ...]

    def row(self) -> tuple[str, ...]:
        rate = f"{self.images / self.wall_seconds:.1f}"
        if not self.seconds:
            return self.what, str(self.images), f"{self.wall_seconds:.1f}", rate, "", ""
        p50 = statistics.median(self.seconds)
        p99 = statistics.quantiles(self.seconds, n=100)[98]
        wall = f"{self.wall_seconds:.1f}"
        return self.what, str(self.images), wall, rate, f"{p50 * 1000:.0f}", f"{p99 * 1000:.0f}"


def images() -> Iterator[bytes]:
    """Endless JPEGs of 500 x 375, each different from all before: the same one is answered once."""
    originals = []
    for photo in photos.singles():
        with Image.open(io.BytesIO(photo.body)) as opened:
            originals.append(opened.convert("RGB").resize(SIZE))
    for number in count():
        buffer = io.BytesIO()
        stamp = f"{os.getpid()}-{time.time_ns()}-{number}".encode()
        originals[number % len(originals)].save(buffer, "JPEG", quality=90, comment=stamp)
        yield buffer.getvalue()


def single(s3: "S3Client", bucket: str, key: str, body: bytes) -> float:
    """Seconds from the start of the upload to the answer's being there."""
    started = time.monotonic()
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    while not exists(s3, bucket, keys.result_key(key)):
        if time.monotonic() - started > TIMEOUT_SECONDS:
            raise TimeoutError(f"{key} was not answered within {TIMEOUT_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - started


def exists(s3: "S3Client", bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return False
    return True


def singles(s3: "S3Client", bucket: str, run: str, number: int, at_once: int) -> FlowFigures:
    bodies = [body for body, _ in zip(images(), range(number), strict=False)]
    names = [f"{keys.INBOX}{run}-{at_once}-{index}.jpg" for index in range(number)]
    started = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        timings = pool.map(lambda name, body: single(s3, bucket, name, body), names, bodies)
        seconds = tuple(track(timings, f"singles, {at_once} at a time", total=number))
    return FlowFigures(f"singles, {at_once} at a time", number, time.monotonic() - started, seconds)


def folder(s3: "S3Client", bucket: str, run: str, number: int) -> tuple[FlowFigures, FlowFigures]:
    """The folder from `_READY` to its finished status, and of that the transform job alone."""
    scope = Scope(f"{run}/")
    bodies = zip(range(number), images(), strict=False)
    for index, body in track(bodies, "dropping the folder", total=number):
        s3.put_object(Bucket=bucket, Key=f"{keys.INBOX}{run}/{index:05}.jpg", Body=body)
    started = time.monotonic()
    s3.put_object(Bucket=bucket, Key=f"{keys.INBOX}{run}/_READY")
    status = keys.folder_file(scope, "_status.json")
    while not exists(s3, bucket, status) or state(s3, bucket, status) == "running":
        if time.monotonic() - started > TIMEOUT_SECONDS:
            raise TimeoutError(f"the folder was not answered within {TIMEOUT_SECONDS} s")
        time.sleep(POLL_SECONDS * 10)
    whole = time.monotonic() - started
    answer = s3.get_object(Bucket=bucket, Key=keys.result_key(f"{keys.INBOX}{run}/00000.jpg"))
    job = result.from_json(answer["Body"].read()).how.job
    if job is None:
        raise RuntimeError("the folder was not answered by a transform job")
    described = boto3.client("sagemaker").describe_transform_job(TransformJobName=job)
    duration = described["TransformEndTime"] - described["TransformStartTime"]
    return (
        FlowFigures(f"folder of {number}, start to finish", number, whole, ()),
        FlowFigures("… of that the transform job", number, duration.total_seconds(), ()),
    )


def state(s3: "S3Client", bucket: str, key: str) -> str:
    document = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return str(document["state"])


def memory(root: str) -> dict[str, float]:
    """MiB resident (shared pages counted in each) of the cloud's processes, by what they run."""
    sizes: dict[str, float] = {}
    for process in psutil.process_iter(["cmdline", "memory_info", "environ"]):
        line = " ".join(process.info["cmdline"] or [])
        kind = next((name for name in ("serving", "ministack", "sagemaker") if name in line), None)
        if kind and root in f"{line} {process.info['environ']}" and process.info["memory_info"]:
            sizes[kind] = sizes.get(kind, 0) + process.info["memory_info"].rss / 2**20
    return sizes


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flow")
    parser.add_argument("--singles", type=int, default=200)
    parser.add_argument("--folder", type=int, default=500)
    options = parser.parse_args(arguments)
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    if urlsplit(endpoint).hostname != "127.0.0.1":
        print("this puts load on a cloud: it runs against the local one only", file=sys.stderr)
        return 2
    bucket = os.environ["SORTBOX_BUCKET"]
    s3 = boto3.client("s3", config=Config(max_pool_connections=32))
    run = f"bench-{time.strftime('%H%M%S')}"
    measured = [
        singles(s3, bucket, run, options.singles // 4, 1),
        singles(s3, bucket, run, options.singles, 16),
        *folder(s3, bucket, run, options.folder),
    ]
    table = Table("what", "images", "seconds", "images/s", "p50 ms", "p99 ms")
    for figures in measured:
        table.add_row(*figures.row())
    console = Console()
    console.print(table)
    for kind, mebibytes in memory(os.environ.get("SORTBOX_LOCAL", ".local")).items():
        console.print(f"{kind}: {mebibytes:.0f} MiB resident")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
