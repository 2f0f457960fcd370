"""The deployed product with the same accidents: repeated, late, throttled, cut off and killed."""

import os
import time
from collections import Counter
from random import Random

import pytest

from infra.local import cloud as local
from tests.faults.cloud.deployed import Deployed
from tests.faults.cloud.proxy import Rule
from tests.faults.cloud.traffic import Size, plan
from tests.faults.simulation.mangler import Mangler
from tests.flow.support.drive import Cloud

SMALL = Size(1_000, 300, folder_objects=60, bursts=2, large=0, promotions=0, poison=0)
WHOLE = Size(10_000, 3_000, folder_objects=300, bursts=2, large=1, promotions=0, poison=0)

PRODUCTION = 10
"""Batches at once: of ten throttled images the slowest holds each of them up."""


@pytest.fixture
def deployed(cloud: Cloud, running: local.LocalCloud) -> Deployed:
    return Deployed(cloud, running)


def accidents(kills: int) -> list[Rule]:
    """`kills` at each of three points of an image, and the collector three times."""
    return [
        *(Rule("kill", "s3", r"PUT .*/progress/.*\.jsonl", nth=nth) for nth in (1, 2, 3)),
        Rule("kill", "s3", r"PUT .*/outbox/", chance=0.01, most=kills),
        Rule("kill", "s3", r"PUT .*/outbox/", chance=0.01, most=kills, after=True),
        Rule("kill", "s3", r"HEAD .*/inbox/", chance=0.01, most=kills, after=True),
        Rule("reset", "s3", r"PUT .*/outbox/", chance=0.01, after=True),
        Rule("truncate", "s3", r"GET .*/inbox/", chance=0.01, after=True),
        Rule("error", "s3", chance=0.005, after=True),
        Rule("delay", "s3", chance=0.002),
        Rule("throttle", "s3", chance=0.03),
        Rule("throttle", "sqs", chance=0.03),
        Rule("throttle", "sagemaker-runtime", chance=0.03),
    ]


def assert_kept_its_word(deployed: Deployed, size: Size, kills: int, patience: float) -> None:
    cloud, began = deployed.cloud, time.monotonic()
    mangler = Mangler(cloud.s3, cloud.sqs, cloud.bucket, cloud.queue("inbox"))
    earlier = deployed.folders()
    with (
        deployed.listening() as notices,
        deployed.forgetful_queues(),
        deployed.concurrency(uploads=PRODUCTION),
        mangler.mangling(),
        deployed.behind(*accidents(kills)) as proxy,
    ):
        uploads = deployed.send(plan(Random(1), size))
        sent = time.monotonic() - began
        deployed.at_rest(patience, mangler.is_empty)
        told = notices()
    seconds = time.monotonic() - began
    verdict = deployed.verdict()
    print(f"{uploads} uploads in {sent:.0f} s, at rest after {seconds:.0f} s,", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}; {verdict.images} images, {verdict.rejected} rejected")
    print(dict(proxy.counts), dict(mangler.counts), f"{len(told)} notices")
    assert verdict.trouble() == {}
    assert {notice["prefix"] for notice in told} >= deployed.folders() - earlier
    often = Counter(notice["id"] for notice in told)
    assert set(often.values()) == {1}, "each notice is seen once, whatever befalls its run"
    assert deployed.dead() == 0
    assert uploads >= size.uploads
    assert proxy.counts["kill before"] >= 3
    assert proxy.counts["kill after"] >= kills
    assert proxy.counts["throttle before"] > 0.03 * uploads
    assert mangler.counts["repeated"] > 0.07 * uploads


@pytest.mark.flow
def test_a_thousand_uploads_end_with_their_own_answers(deployed: Deployed) -> None:
    assert_kept_its_word(deployed, SMALL, kills=3, patience=600)


@pytest.mark.faults
def test_ten_thousand_uploads_end_with_their_own_answers(deployed: Deployed) -> None:
    assert_kept_its_word(deployed, WHOLE, kills=12, patience=600)
