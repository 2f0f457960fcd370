"""A folder's whole road through a local cloud of its own: from the first upload to its summary."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

import psutil

from batch.claim import SUMMARY
from batch.status import STATUS
from benchmarks.flow import exists, state
from domain import keys
from domain.scope import Scope
from infra.local import container_image
from infra.local.cloud import LocalCloud, local_cloud
from infra.local.place import VARIABLE

UPLOADS = 8
POLL_SECONDS = 0.25
TIMEOUT_SECONDS = 500
FOLDER = "bench"
SAMPLE_SECONDS = 0.2
"""What a process does between the last look at it and its end is missed."""

KINDS = {
    "ministack-lambda": "functions",
    "emulator.py": "emulator (S3, SQS)",
    "infra.local.sagemaker": "local SageMaker",
    "-m serving": "model's container",
}
"""By what stands in the command line; the first that fits."""


class Meter:
    """Seconds since it was entered. Processes are few: a container and a function each."""

    def __init__(self, root: Path) -> None:
        self._root = str(root.resolve())
        self._kinds: dict[psutil.Process, str] = {}
        self._before: dict[psutil.Process, float] = {}
        self._now: dict[psutil.Process, float] = {}
        self._enough = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Meter":
        self._sample()
        self._before = dict(self._now)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._enough.set()
        self._thread.join()
        self._sample()

    def seconds(self) -> dict[str, float]:
        """By kind. `the benchmark` is this process: what it uploads, asks and measures."""
        processes: dict[str, float] = {}
        for process, now in self._now.items():
            kind = self._kinds[process]
            processes[kind] = processes.get(kind, 0.0) + now - self._before.get(process, 0.0)
        return processes

    def _watch(self) -> None:
        while not self._enough.wait(SAMPLE_SECONDS):
            self._sample()

    def _sample(self) -> None:
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process not in self._kinds:
                    self._kinds[process] = self._kind(process)
                if self._kinds[process]:
                    times = process.cpu_times()
                    self._now[process] = times.user + times.system

    def _kind(self, process: psutil.Process) -> str:
        """Empty for a process of somebody else's."""
        if process.pid == psutil.Process().pid:
            return "the benchmark"
        if process.environ().get(VARIABLE) != self._root:
            return ""
        line = " ".join(process.cmdline())
        return next((kind for part, kind in KINDS.items() if part in line), "the rest")


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


def _uploaded(cloud: LocalCloud, bodies: Sequence[bytes]) -> Leg:
    s3 = cloud.client("s3")

    def put(number: int) -> None:
        key = f"{keys.INBOX}{FOLDER}/{number:05}.jpg"
        s3.put_object(Bucket=cloud.bucket, Key=key, Body=bodies[number])

    began = time.monotonic()
    with Meter(cloud.place.root) as meter, ThreadPoolExecutor(UPLOADS) as pool:
        list(pool.map(put, range(len(bodies))))
    return _leg("upload", began, meter, len(bodies))


def _answered(cloud: LocalCloud, images: int) -> Leg:
    """From `_READY` to the folder's finished status. Raises RuntimeError unless all are."""
    s3, scope = cloud.client("s3"), Scope(f"{FOLDER}/")
    status = keys.folder_file(scope, STATUS)
    began = time.monotonic()
    with Meter(cloud.place.root) as meter:
        s3.put_object(Bucket=cloud.bucket, Key=f"{keys.INBOX}{FOLDER}/_READY")
        while not exists(s3, cloud.bucket, status) or state(s3, cloud.bucket, status) == "running":
            if time.monotonic() - began > TIMEOUT_SECONDS:
                raise TimeoutError(f"the folder was not answered within {TIMEOUT_SECONDS} s")
            time.sleep(POLL_SECONDS)
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
