"""The `gpu` image here: it trains, is interrupted, goes on, and `serve` serves its model.

By `make test-image`: it takes about a quarter of an hour and 35 GB of disk, most of it for torch
with CUDA. Trained is on the CPU, without network and with a read-only root.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.image_here import RunningContainer, Workshop, objection
from tests.support.worlds.image_container import ask, await_ready, serving
from tests.support.worlds.jobs import QUICK, Job, data_set, lines, noisy

pytestmark = [
    pytest.mark.training_image,
    pytest.mark.skipif(objection() is not None, reason=f"no image is built here: {objection()}"),
]
TRAIN, SERVE = "localhost/sortbox:test-gpu", "localhost/sortbox:test"
STEP_SECONDS = 300
LONG = {"epochs": "6", "checkpoint-seconds": "0", "compile": "fp32"}


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    workshop = Workshop()
    workshop.base()
    try:
        workshop.build("gpu", TRAIN)
        workshop.build("serve", SERVE)
        yield workshop
    finally:
        workshop.close()


def steps(container: RunningContainer) -> list[int]:
    """The steps that the container has logged so far."""
    texts = (line.split(" ", 3)[-1] for line in container.log().splitlines())
    return [int(values["step"]) for values in lines("\n".join(texts), "loss")]


def test_it_trains_is_interrupted_goes_on_and_its_model_is_served(
    workshop: Workshop, tmp_path: Path
) -> None:
    job = Job(tmp_path / "ml")
    data_set(job.channel, train=64, others=16)
    for folder in (job.model, job.root / "output", job.root / "checkpoints", tmp_path / "tmp"):
        folder.mkdir(parents=True)
    job.configure(QUICK | LONG)
    volumes = {job.root: "/opt/ml", tmp_path / "tmp": "/tmp"}
    with workshop.running(TRAIN, "train", volumes, {}) as container:
        deadline = time.monotonic() + STEP_SECONDS
        while max(steps(container), default=0) < 3:
            assert time.monotonic() < deadline, container.log()
            time.sleep(0.1)
        assert container.stop() == 143, container.log()
        last = max(steps(container))
    assert not job.failure
    assert not (job.model / "card.json").exists()
    with workshop.running(TRAIN, "train", volumes, {}) as container:
        assert container.exit_status() == 0, container.log() + job.failure
        assert f"resumed after step {last}" in container.log()
        assert min(steps(container)) == last + 1, "what was learnt is not learnt again"
    assert job.card.labels == ("blue", "green", "red")
    for path in (*job.model.rglob("*"), job.model, job.root, tmp_path):
        path.chmod(0o755 if path.is_dir() else 0o644)
    picture = tmp_path / "red.png"
    noisy("red", 9_999).save(picture)
    with serving(workshop, SERVE, job.model) as container:
        await_ready(container)
        headers = {"Content_Type": "image/png"}
        status, body = ask(container, "POST", "/invocations", picture.read_bytes(), **headers)
        assert status == 200, body
        assert b'"red"' in body
