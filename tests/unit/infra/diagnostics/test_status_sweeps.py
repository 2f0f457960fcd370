"""`./sortbox status` on reclassifications."""

import re
from dataclasses import replace

from batch import claim
from domain import timestamps
from domain.scope import RECLASSIFICATION
from infra.diagnostics.status import of_sweeps
from tests.support.worlds.folders import World
from tests.support.worlds.sweeps import ALL, answered_long_ago


def told(world: World) -> str:
    return " ".join(finding.sentence for finding in of_sweeps(world.cloud.bucket))


def test_without_any_there_is_nothing_to_say() -> None:
    assert told(World()) == ""


def test_the_live_one_says_how_far_it_is_and_that_it_will_stop() -> None:
    world = answered_long_ago(*ALL)
    world.sweep()
    (first,) = world.sagemaker.running()
    world.s3.clock.tick(60)
    world.sagemaker.end(first)
    world.changed(first)
    world.s3.clock.tick(60)
    world.tick()
    assert "The reclassification of inbox/ started at 2026-01-01T01:00" in told(world)
    assert "and is running: attempt 1" in told(world)
    assert ", to end at 2026-" not in told(world), "an end can be estimated once all is planned"
    assert "attempt 1, 5 of 10 planned so far answered, 1 jobs running, 0.04 images/s" in told(
        world
    )
    claim.change(world.cloud.bucket, RECLASSIFICATION, lambda run: replace(run, paused=True))
    assert "and stops after what runs now" in told(world)
    world.finish_jobs()
    world.s3.clock.tick(3600)
    started, stopped = re.findall(r"2026-01-01T\d\d:\d\d:\d\dZ", told(world))
    assert "is stopped since" in told(world)
    assert started < stopped < timestamps.to_text(world.s3.clock.now)


def test_a_past_one_is_told_by_its_report() -> None:
    world = answered_long_ago(*ALL)
    world.sweep()
    world.finish_jobs()
    assert told(world).startswith("The last change report is outbox/_reclassify/20260101010")
    assert told(world).endswith("/_report.html.")
