"""What is promised of outages, bursts and folders, through the deployed cloud, at full size."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from infra.local import cloud as local
from infra.local.place import VARIABLE
from tests.faults.cloud.deployed import Deployed
from tests.flow.conftest import Knobs
from tests.flow.support.drive import Cloud, eventually

pytestmark = pytest.mark.faults

OUTAGE_SECONDS = 60
DRAINED_SECONDS = 120
BURST = 2_000
FOLDER = 1_000
BROKEN = 10
MEGABYTE = 1_000_000


@pytest.fixture
def deployed(cloud: Cloud, running: local.LocalCloud) -> Deployed:
    return Deployed(cloud, running)


def test_a_minute_without_an_endpoint_is_made_up_for_in_two(
    deployed: Deployed, knobs: Knobs
) -> None:
    knobs.set(status=503)
    began, number = time.monotonic(), 0
    while time.monotonic() - began < OUTAGE_SECONDS:
        deployed.cloud.drop(f"inbox/outage-{number}.jpg", f"outage {number}".encode())
        number += 1
        time.sleep(0.2)
    assert deployed.depths()["inbox"] >= number * 0.9
    knobs.set()
    seconds = deployed.at_rest(DRAINED_SECONDS)
    verdict = deployed.verdict()
    print(
        f"{number} uploads in an outage, drained in {seconds:.0f} s, load {os.getloadavg()[0]:.1f}"
    )
    assert verdict.trouble() == {}
    assert deployed.dead() == 0


def test_a_burst_is_answered_whole_its_backlog_is_seen_and_memory_is_bounded(
    deployed: Deployed,
) -> None:
    keys = [f"inbox/burst-{number}.jpg" for number in range(BURST)]
    most, over = Peaks(deployed), threading.Event()
    watcher = threading.Thread(target=most.watch, args=(over,))
    watcher.start()
    began = time.monotonic()
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda key: deployed.cloud.drop(key, key.encode()), keys))
    dropped = time.monotonic() - began
    deployed.at_rest(300)
    seconds = time.monotonic() - began
    over.set()
    watcher.join()
    verdict = deployed.verdict()
    print(f"{BURST} dropped in {dropped:.0f} s, answered after {seconds:.0f} s, backlog at most")
    print(f"{most.backlog}, functions at most {most.megabytes} MB; load {os.getloadavg()[0]:.1f}")
    assert verdict.trouble() == {}
    assert most.backlog > BURST // 10
    assert most.megabytes < 512


class Peaks:
    """The longest backlog that SQS told of, and the largest function there was."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self.backlog = 0
        self.megabytes = 0

    def watch(self, over: threading.Event) -> None:
        while not over.wait(1.0):
            self.backlog = max(self.backlog, self._deployed.depths()["inbox"])
            self.megabytes = max(self.megabytes, *self._functions(), 0)

    def _functions(self) -> list[int]:
        root = str(self._deployed.running.place.root)
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
                if environment.get(VARIABLE) == root and "LAMBDA_TASK_ROOT" in environment:
                    found.append(process.memory_info().rss // MEGABYTE)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return [*found, 0]


def test_a_folder_with_broken_images_and_a_stopped_job_is_answered_whole(
    deployed: Deployed, knobs: Knobs
) -> None:
    cloud, name = deployed.cloud, "bar"
    knobs.set(delay_ms=20)
    for number in range(FOLDER):
        start = b"BAD" if number < BROKEN else b"image"
        cloud.drop(f"inbox/{name}/{number:04}.jpg", start + b" %d" % number)
    cloud.drop(f"inbox/{name}/_READY")
    job = cloud.job(name, "InProgress")
    half = f"image {FOLDER // 3}".encode()
    eventually(lambda: knobs.seen(half) or None, "a third of the folder at the model")
    cloud.sagemaker.stop_transform_job(TransformJobName=job)
    knobs.set()
    eventually(lambda: _has_finished(cloud, name) or None, f"folder {name!r} finished", 400)
    summary = cloud.summary(name)
    print(f"jobs {len(cloud.jobs(name))}, {summary['classified']} and {summary['rejected']}")
    assert (summary["classified"], summary["rejected"]) == (FOLDER - BROKEN, BROKEN)
    assert len(cloud.jobs(name)) <= 3
    assert deployed.verdict().trouble() == {}


def _has_finished(cloud: Cloud, name: str) -> bool:
    status = cloud.status(name)
    return status is not None and status["state"] == "finished"
