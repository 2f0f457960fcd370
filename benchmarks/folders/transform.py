"""A transform job with S3 in memory, beside the server alone: what the job adds to the server.

Both load the real container on all cores with the same photographs, as many at once as it asks for.
"""

import asyncio
import io
import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import uvloop

from batch.context import TransformResources
from batch.jobs.transform import TransformRequest, request_for
from batch.planning.slice import SMALL_IMAGES
from benchmarks import servers
from benchmarks.client import closed_loop
from domain.keys import JobName
from infra.local.sagemaker.containers.containers import Containers, Definition
from infra.local.sagemaker.containers.images import ContainerImages
from infra.local.sagemaker.containers.transfers import Location
from infra.local.sagemaker.core.planted import Planted
from infra.local.sagemaker.service import WORKER_THREADS
from infra.local.sagemaker.transform.request import TransformJobRequest
from infra.local.sagemaker.transform.run import TransformRun


class NoSuchKey(KeyError):
    """There is no such object."""


class MemoryS3:
    """Thread-safe as dictionaries are. Holds what it is given and every output: some 1 KB each."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey)

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects
        self.began = 0.0
        """When the first object was asked for, by time.perf_counter()."""
        self.written: list[float] = []
        """When each output came."""

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self._objects:
            raise NoSuchKey(Key)
        self.began = self.began or time.perf_counter()
        body = self._objects[Key]
        return {"ContentLength": len(body), "Body": io.BytesIO(body)}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        self._objects[Key] = Body
        self.written.append(time.perf_counter())

    def list_objects_v2(self, Bucket: str, Prefix: str, MaxKeys: int) -> None:
        """SageMaker looks before it reads."""

    def download_file(self, Bucket: str, Key: str, Filename: str) -> None:
        Path(Filename).write_bytes(self._objects[Key])


PORT = 23_450
CONCURRENT_REQUESTS = 16
"""What the container asks for on two cores."""

WARM_SECONDS = 1.5
NAME = JobName("bench", "memory", "0123456789", 1, 0, 0)
IMAGE = "serving"
ORDER = TransformRequest(
    NAME,
    "s3://m/manifest",
    "s3://m/out/",
    IMAGE,
    SMALL_IMAGES,
    TransformResources("ml.m5.large", 1),
)


@dataclass(frozen=True, slots=True)
class Phase:
    images: int
    seconds: float
    """From the first image's being asked for to the last output; the container is up by then."""
    start_seconds: float
    """Before that: the model unpacked, the container started and answering /ping."""
    driver_ms: float
    """Processor time of what drives the job, an image: reading, asking, writing."""

    @property
    def rate(self) -> float:
        return self.images / self.seconds


def phase(model: Path, archive: bytes, bodies: Sequence[bytes]) -> Phase:
    names = [f"{number:05}.jpg" for number in range(len(bodies))]
    manifest = json.dumps([{"prefix": "s3://m/in/"}, *names]).encode()
    photos = {f"in/{name}": body for name, body in zip(names, bodies, strict=True)}
    s3 = MemoryS3({"model.tar.gz": archive, "manifest": manifest, **photos})
    began, used = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="sortbox-bench-") as folder:
        uvloop.run(_run_job(s3, model, Path(folder)))
    driven = time.process_time() - used
    if len(s3.written) != len(bodies):
        raise RuntimeError(f"{len(s3.written)} of {len(bodies)} images have an output")
    took = s3.written[-1] - s3.began
    return Phase(len(bodies), took, s3.began - began, driven * 1000 / len(bodies))


@dataclass(frozen=True)
class OneRole:
    """Every role acts with the same S3."""

    of_all: MemoryS3

    def s3(self, role: str) -> MemoryS3:
        return self.of_all

    def check_container(self, role: str, image: str, of: str, name: str) -> None:
        """It may have what it needs."""


async def _run_job(s3: MemoryS3, model: Path, folder: Path) -> None:
    images, environment = folder / "images.json", servers.ours(model, PORT).environment
    command = {"argv": [str(servers.OURS), "-m", "serving"], "cwd": str(servers.REPOSITORY)}
    images.write_text(json.dumps({IMAGE: command}))
    named = {name: environment[name] for name in ("SORTBOX_MODEL_ID", "SORTBOX_CONTAINER")}
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(WORKER_THREADS))
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    ) as http:
        place = ContainerImages(images), folder, folder / "logs", "us-east-1", 120.0
        containers = Containers(*place, OneRole(s3), Planted(folder / "none"), http)  # type: ignore[arg-type]
        plan = TransformJobRequest.of(dict(request_for(ORDER)))
        definition = Definition(IMAGE, Location("m", "model.tar.gz"), named, "role")
        await TransformRun(plan, containers).run(definition)


def own_rate(model: Path, bodies: Sequence[bytes], seconds: float, logs: Path) -> float:
    """Images a second of the same server, asked by the benchmarks' own light client."""
    contender = servers.ours(model, PORT)
    request = contender.request(bodies)
    with servers.running(contender, logs):
        uvloop.run(closed_loop(request, CONCURRENT_REQUESTS, WARM_SECONDS))
        began = time.perf_counter()
        answers = uvloop.run(closed_loop(request, CONCURRENT_REQUESTS, seconds))
        took = time.perf_counter() - began
    return float(sum(answer.status == 200 for answer in answers) / took)
