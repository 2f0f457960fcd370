"""Another model becomes the active one, and everything is brought up to date while life goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from domain import keys
from domain.model import ModelId
from domain.scope import RECLASSIFICATION
from infra.local import cloud as local
from infra.local.place import REPOSITORY, VARIABLE
from tests.flow.conftest import STAND_IN, Activate, Knobs, archive
from tests.flow.support.drive import Cloud, eventually, label_of
from tests.flow.support.killing import killer
from tests.flow.support.recounting import recount
from tests.stand_in.live import Live

pytestmark = pytest.mark.flow

IMAGES = int(os.environ.get("SORTBOX_RECLASSIFY_IMAGES", "210"))
"""More than ENDPOINT_MAX_LATE, so that it takes a job. `make test-reclassify` takes 2,000."""

PATIENCE = 420 + IMAGES / 3


@pytest.fixture
def alternative(activate: Activate, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Activates a model with labels of its own; the stand-in is active again when the test ends."""
    yield lambda: activate(archive(tmp_path / "alternative.tar.gz", "alternative"), STAND_IN)
    activate(archive(tmp_path / "stand-in.tar.gz", "stand-in"), STAND_IN)


@contextmanager
def impatient(cloud: Cloud) -> Iterator[None]:
    """What nobody finished comes back after seconds, not after AWS's half-hours.

    For an image it is longer than onUpload's timeout, so that no two ask about it at once.
    """
    usual = {"folder": "2400", "page": "1800", "inbox": "360"}
    for name, seconds in {"folder": "20", "page": "20", "inbox": "70"}.items():
        _hide(cloud, name, seconds)
    yield
    for name, seconds in usual.items():
        _hide(cloud, name, seconds)


def _hide(cloud: Cloud, name: str, seconds: str) -> None:
    queue = cloud.queue(name)
    cloud.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": seconds})


def reclassify(running: local.LocalCloud, *arguments: str) -> str:
    """What the command prints."""
    command = [sys.executable, "-m", "cli", "reclassify", "--stage", running.stage, *arguments]
    environment = running.environment | {VARIABLE: str(running.place.root)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fill(cloud: Cloud) -> dict[str, bytes]:
    """Two folders and singles, all answered by the model that is active now."""
    images = {name(number): f"image {number}".encode() for number in range(IMAGES)}
    images |= {f"inbox/re-one/bad {number}.jpg": b"BAD %d" % number for number in range(3)}
    for key, body in images.items():
        cloud.drop(key, body)
    for folder in ("re-one", "re-two"):
        cloud.drop(f"inbox/{folder}/_READY")
    eventually(lambda: _all_by(cloud, images, [], cloud.active().id), "all of them", PATIENCE)
    return images


def name(number: int) -> str:
    return f"inbox/re-{('one/', 'two/', 'single ')[number % 3]}{number:04}.jpg"


def is_over(cloud: Cloud) -> bool | None:
    return cloud.read(keys.claim_key(RECLASSIFICATION)) is None or None


def outputs(cloud: Cloud) -> int:
    """Files that the sweep's jobs have written so far."""
    found = cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=f"{keys.RUNS}{RECLASSIFICATION}/")
    return sum(each["Key"].endswith(".out") for each in found.get("Contents", []))


def test_at_rest_every_answer_is_by_the_new_model_and_for_the_image_as_it_is(
    cloud: Cloud,
    running: local.LocalCloud,
    alternative: Callable[[], None],
    knobs: Knobs,
    live: Live,
) -> None:
    images, kill = fill(cloud), killer(running)
    old = cloud.active().id
    alternative()
    new = cloud.active().id
    told = reclassify(running, "--prefix", "inbox/re-", "--dry-run")
    all_of_them = f"{len(images):,}"
    assert f"{all_of_them} images, {all_of_them} to be answered ({all_of_them} older" in told
    assert is_over(cloud), "a dry run starts nothing"

    before = {body: live.times(body) for body in images.values()}
    changed = {name(each): f"new {each}".encode() for each in range(0, IMAGES, 10)}
    gone = [name(each) for each in range(5, IMAGES, 20)]
    knobs.set(delay_ms=20)
    with impatient(cloud):
        reclassify(running, "--prefix", "inbox/re-", "--yes")
        eventually(lambda: outputs(cloud) > 10 or None, "the first outputs")
        kill("sortbox-local-onFolder")
        for key, body in changed.items():
            cloud.drop(key, body)
        for key in gone:
            cloud.remove(key)
        knobs.set()
        eventually(lambda: _by(cloud, images, new) or None, "the first answers by the new model")
        kill("sortbox-local-onPage")
        kill("sortbox-local-onFolder")
        eventually(lambda: is_over(cloud), "the end of the sweep", PATIENCE)
        eventually(lambda: _all_by(cloud, images | changed, gone, new), "everything", PATIENCE)
        cloud.at_rest()

    check_each(cloud, images | changed, gone, new)
    recount(cloud, old, images)
    check_calls(live, before | dict.fromkeys(changed.values(), 0))
    assert ", 0 to be answered" in reclassify(running, "--prefix", "inbox/re-", "--dry-run")


def test_a_schedule_fires_by_itself(
    cloud: Cloud, running: local.LocalCloud, alternative: Callable[[], None]
) -> None:
    images = {f"inbox/scheduled {number}.jpg": f"s {number}".encode() for number in range(3)}
    for key, body in images.items():
        cloud.drop(key, body)
    for key in images:
        cloud.answered(key)
    alternative()
    new = cloud.active().id
    with enabled(running, "inbox/scheduled "):
        eventually(lambda: _all_by(cloud, images, [], new), "what the schedule asked for")
    cloud.at_rest()


@contextmanager
def enabled(running: local.LocalCloud, prefix: str) -> Iterator[None]:
    """The deployed schedule, every minute and of a prefix, and switched off again."""
    scheduler = running.client("scheduler")
    found = scheduler.get_schedule(Name=f"sortbox-{running.stage}-reclassify")
    names = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "Target", "State")
    usual = {name: found[name] for name in names}
    assert usual["State"] == "DISABLED"
    message = json.loads(found["Target"]["Input"])
    message["sweep"]["path"] = prefix.removeprefix(keys.INBOX)
    target = found["Target"] | {"Input": json.dumps(message)}
    often = {"ScheduleExpression": "rate(1 minutes)", "State": "ENABLED", "Target": target}
    scheduler.update_schedule(**(usual | often))
    yield
    scheduler.update_schedule(**usual)


def check_calls(live: Live, before: dict[bytes, int]) -> None:
    """How often the model was asked about these bytes, beyond the times before."""
    asked = sum(live.times(body) - times for body, times in before.items())
    print(f"asked of the model: {asked} times, for {len(before)} versions of images")
    assert asked <= 1.05 * len(before)


def check_each(cloud: Cloud, images: dict[str, bytes], gone: list[str], model: ModelId) -> None:
    for key in gone:
        assert cloud.answer(key) is None, f"{key} is gone, and its answer is not"
    for key in images.keys() - set(gone):
        answer = cloud.answer(key)
        assert answer is not None
        assert answer.by is not None
        assert answer.by.model == model, key
        etag = cloud.s3.head_object(Bucket=cloud.bucket, Key=key)["ETag"].strip('"')
        assert answer.source.etag == etag, key


def _by(cloud: Cloud, images: dict[str, bytes], model: object) -> int:
    some = list(images)[:: max(1, len(images) // 20)]
    found = (cloud.answer(key) for key in some)
    return sum(
        each is not None and each.by is not None and each.by.model == model for each in found
    )


def _all_by(cloud: Cloud, images: dict[str, bytes], gone: list[str], model: object) -> bool | None:
    for key in images.keys() - set(gone):
        answer = cloud.answer(key)
        if answer is None or answer.by is None or answer.by.model != model:
            return None
    return True


def test_labels_of_the_two_models_differ_for_some_images_and_not_for_others() -> None:
    """What the tests here stand on."""
    bodies = [f"image {number}".encode() for number in range(40)]
    assert {label_of(body, "alternative") == label_of(body) for body in bodies} == {True, False}
