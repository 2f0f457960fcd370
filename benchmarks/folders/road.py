"""A folder's whole road through a local cloud of its own: from the first upload to its summary."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from batch.claim import SUMMARY
from batch.status import STATUS
from benchmarks.flow import exists, state
from benchmarks.meter import Meter
from domain import keys
from domain.scope import Scope
from infra.local import container_image
from infra.local.cloud import Cloud, local_cloud

UPLOADS = 8
LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 500
FOLDER = "bench"


@dataclass(frozen=True, slots=True)
class Leg:
    what: str
    seconds: float
    cpu_ms: dict[str, float]
    """Processor milliseconds an image, by kind of process."""


def whole(archive: Path, bodies: Sequence[bytes], root: Path) -> list[Leg]:
    with local_cloud(root) as cloud:
        activate = (sys.executable, "-m", "infra.models.activate", cloud.stage)
        command = [*activate, str(archive), container_image.uri()]
        subprocess.run(command, env=cloud.environment, check=True)
        return [_uploaded(cloud, bodies), _answered(cloud, len(bodies))]


def _uploaded(cloud: Cloud, bodies: Sequence[bytes]) -> Leg:
    s3 = cloud.client("s3")

    def put(number: int) -> None:
        key = f"{keys.INBOX}{FOLDER}/{number:05}.jpg"
        s3.put_object(Bucket=cloud.bucket, Key=key, Body=bodies[number])

    began = time.monotonic()
    with Meter(cloud.place.root) as meter, ThreadPoolExecutor(UPLOADS) as pool:
        list(pool.map(put, range(len(bodies))))
    return _leg("upload", began, meter, len(bodies))


def _answered(cloud: Cloud, images: int) -> Leg:
    """From `_READY` to the folder's finished status. Raises RuntimeError unless all are."""
    s3, scope = cloud.client("s3"), Scope(f"{FOLDER}/")
    status = keys.folder_file(scope, STATUS)
    began = time.monotonic()
    with Meter(cloud.place.root) as meter:
        s3.put_object(Bucket=cloud.bucket, Key=f"{keys.INBOX}{FOLDER}/_READY")
        while not exists(s3, cloud.bucket, status) or state(s3, cloud.bucket, status) == "running":
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise TimeoutError(f"the folder was not answered within {PATIENCE_SECONDS} s")
            time.sleep(LOOK_SECONDS)
    leg = _leg("`_READY` to summary", began, meter, images)
    summary = s3.get_object(Bucket=cloud.bucket, Key=keys.folder_file(scope, SUMMARY))
    classified = json.loads(summary["Body"].read())["classified"]
    if classified != images:
        raise RuntimeError(f"{classified} of {images} images were classified")
    return leg


def _leg(what: str, began: float, meter: Meter, images: int) -> Leg:
    seconds = time.monotonic() - began
    return Leg(
        what, seconds, {kind: 1000 * used / images for kind, used in meter.seconds().items()}
    )
