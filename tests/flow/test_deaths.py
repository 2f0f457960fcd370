"""Processes that die in the middle of their work: nothing is lost, nothing is done to no end."""

from collections.abc import Iterator

import pytest

from domain import keys
from domain.scope import Scope
from infra.local import cloud as local
from tests.flow.support.drive import Cloud, eventually, label_of, top_label
from tests.flow.support.killing import Kill, killer

pytestmark = pytest.mark.flow


@pytest.fixture
def kill(running: local.LocalCloud) -> Kill:
    return killer(running)


@pytest.fixture
def impatient_pages(cloud: Cloud) -> Iterator[None]:
    """A page that nobody finished comes back after seconds, not after the 30 minutes of AWS."""
    queue = cloud.queue("page")
    cloud.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "10"})
    yield
    cloud.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1800"})


@pytest.mark.usefixtures("impatient_pages")
def test_a_collector_killed_between_pages_is_followed_by_another(cloud: Cloud, kill: Kill) -> None:
    images = {f"inbox/killed/{number:04}.jpg": f"killed {number}" for number in range(550)}
    for key, body in images.items():
        cloud.drop(key, body.encode())
    cloud.drop("inbox/killed/_READY")
    eventually(lambda: answers_below(cloud, "killed") or None, "the first answer")
    kill("sortbox-local-onPage")
    eventually(lambda: pages_done(cloud, "killed") or None, "the first page done")
    kill("sortbox-local-onPage")
    status = cloud.status("killed")
    assert status is not None
    assert status["state"] == "running", "the collector was killed too late to show anything"
    cloud.ended("killed")
    answers = {key: cloud.answered(key) for key in images}
    assert {key: top_label(answer) for key, answer in answers.items()} == {
        key: label_of(body.encode()) for key, body in images.items()
    }
    assert len(cloud.jobs("killed")) == 1
    assert cloud.summary("killed")["classified"] == len(images)


def pages_done(cloud: Cloud, folder: str) -> int:
    keys_below = listed(cloud, f"{keys.RUNS}{Scope(f'{folder}/').token}/")
    return sum("/progress/" in key and key.endswith(".jsonl") for key in keys_below)


def answers_below(cloud: Cloud, folder: str) -> int:
    return sum(key.endswith(".jpg.json") for key in listed(cloud, f"{keys.OUTBOX}{folder}/"))


def listed(cloud: Cloud, prefix: str) -> Iterator[str]:
    pages = cloud.s3.get_paginator("list_objects_v2").paginate(Bucket=cloud.bucket, Prefix=prefix)
    return (found["Key"] for page in pages for found in page.get("Contents", []))


def test_an_endpoint_s_container_that_dies_is_replaced_and_its_image_answered(
    cloud: Cloud, kill: Kill
) -> None:
    kill("tests.stand_in")
    etag = cloud.drop("inbox/bereaved.jpg", b"bereaved")
    assert cloud.label("inbox/bereaved.jpg", etag) == label_of(b"bereaved")
