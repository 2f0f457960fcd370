"""What a reclassification would take, and the command that starts, stops and ends one."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from batch.status import STATUS
from domain.keys import SWEEPS, claim_key, ticket_key
from domain.scope import RECLASSIFICATION, Scope
from infra.diagnostics.cost import TYPICAL, load_prices
from infra.reclassify import Plan, Reclassifier, ReclassifyError, ReclassifyRequest, run, scope_of
from tests.support.worlds.folders import World
from tests.support.worlds.sweeps import ALL, TRIP, answered_long_ago, status

QUEUE = "http://queues/folder"


@pytest.fixture
def world() -> World:
    world = answered_long_ago(*ALL)
    world.fill("inbox/lost.jpg")
    world.put(TRIP[0], b"newer")
    world.s3.clock.tick(3600)
    return world


def desk(world: World) -> Reclassifier:
    sqs: Any = world.sqs
    return Reclassifier(world.cloud, sqs, QUEUE)


PLAIN = ReclassifyRequest()


def say(
    world: World,
    asked: ReclassifyRequest = PLAIN,
    answer: Callable[[str], bool] = lambda question: False,
) -> str:
    return "\n".join(run(desk(world), asked, answer))


def started(world: World) -> list[Any]:
    return [body for url, body, _ in world.sqs.sent if url == QUEUE]


def test_a_dry_run_counts_by_reason_and_starts_nothing(world: World) -> None:
    before = dict(world.s3.objects)
    told = say(world, ReclassifyRequest(dry_run=True))
    assert "13 images, 13 to be answered (11 older model, 1 no answer, 1 newer image)" in told
    assert load_prices().as_of in told
    assert world.s3.objects == before
    assert started(world) == []


def test_a_dry_run_says_how_many_jobs_run_at_once_and_who_waits_before_them(world: World) -> None:
    assert "3 transform jobs (at most 1 at once, of the stage's 100), " in str(_plan(world))
    world.settings = replace(world.settings, transform_jobs=2, reclassify_jobs=20)
    world.put(ticket_key(world.s3.clock.now, "trip-0123456789abcdef"), b"{}")
    assert "1 transform job (" in str(replace(_plan(world), jobs=1))
    assert "0 transform jobs, because the endpoint takes so few" in str(
        replace(_plan(world), jobs=0)
    )
    told = str(replace(_plan(world), jobs=30, at_once=2))
    assert (
        "30 transform jobs (at most 2 at once, of the stage's 2, 1 runs in line before it)" in told
    )


def test_the_plan_has_the_most_that_it_can_cost(world: World) -> None:
    """SageMaker ends a transform job when each image has had its attempts, and not before."""
    plan = _plan(world)
    attempts_hours = plan.stale * 90 * 4 / 3600
    assert plan.most_cost == pytest.approx(
        plan.cost + attempts_hours * plan.prices.hour("ml.m5.xlarge")
    )
    assert f"at most {plan.most_cost:,.2f}, if every image took its longest" in str(plan)
    document = json.loads(json.dumps(plan.document))
    assert document["typical"] < document["most"]
    assert document["prefix"] == "inbox/"
    assert replace(plan, jobs=0).most_cost == plan.cost, "the endpoint is up in any case"


def test_a_sweep_never_runs_more_jobs_at_once_than_the_stage_or_it_has(world: World) -> None:
    for stage, sweep, most in ((2, 20, 2), (9, 1, 1), (9, 9, 3)):
        world.settings = replace(world.settings, transform_jobs=stage, reclassify_jobs=sweep)
        plan = _plan(world)
        assert plan.jobs == 3
        assert plan.at_once == most


def _plan(world: World) -> Plan:
    return desk(world).plan(Scope("", "renewal"), load_prices(), TYPICAL)


def test_what_is_counted_is_what_is_done(world: World) -> None:
    plan = desk(world).plan(Scope("", "renewal"), load_prices(), TYPICAL)
    world.sweep()
    world.finish_jobs()
    assert len(world.sagemaker.jobs) == plan.jobs
    asked = [key for job in world.sagemaker.jobs for key in world.sagemaker.images(job)]
    assert len(asked) == plan.stale == 13


def test_a_run_is_started_by_a_message_as_a_schedule_does(world: World) -> None:
    assert "Started" in say(world, ReclassifyRequest(prefix="inbox/trip/"))
    assert started(world) == [{"sweep": {"path": "trip/", "kind": "renewal", "confirmed": True}}]


def test_a_large_one_asks_first(world: World) -> None:
    world.settings = replace(world.settings, reclassify_ask_above=5)
    with pytest.raises(ReclassifyError, match="Pass --yes"):
        say(world)
    assert started(world) == []
    say(world, answer=lambda question: True)
    say(world, ReclassifyRequest(yes=True))
    assert len(started(world)) == 2


def test_what_is_up_to_date_is_left_alone(world: World) -> None:
    world.sweep()
    world.finish_jobs()
    sent = len(started(world))
    assert "up to date" in say(world)
    assert len(started(world)) == sent


def test_nothing_below_a_prefix_says_so(world: World) -> None:
    assert "no images below" in say(world, ReclassifyRequest(prefix="inbox/nope/"))
    assert started(world) == []


def test_one_is_stopped_and_another_call_resumes_it(world: World) -> None:
    world.sweep()
    assert "stops" in say(world, ReclassifyRequest(stop=True))
    world.finish_jobs()
    assert len(world.sagemaker.jobs) == 1
    assert "Started" in say(world)
    world.drain()
    world.finish_jobs()
    assert world.open_runs() == []


def test_one_is_given_up(world: World) -> None:
    world.sweep()
    assert "ended" in say(world, ReclassifyRequest(end=True))
    assert claim_key(RECLASSIFICATION) not in world.s3.objects
    assert status(world)["state"] == "given up"
    with pytest.raises(ReclassifyError, match="no reclassification"):
        say(world, ReclassifyRequest(end=True))
    with pytest.raises(ReclassifyError, match="no reclassification"):
        say(world, ReclassifyRequest(stop=True))


def test_what_waited_for_the_one_that_is_given_up_follows(world: World) -> None:
    world.sweep("trip/")
    world.sweep("", "unanswered")
    say(world, ReclassifyRequest(end=True))
    world.drain()
    world.finish_jobs()
    assert world.open_runs() == []
    states = [json.loads(stored.body)["state"] for key, stored in world.s3.objects.items()
              if key.startswith(SWEEPS) and key.endswith(STATUS)]  # fmt: skip
    assert sorted(states) == ["finished", "given up"]


@pytest.mark.parametrize(
    ("prefix", "path"), [("inbox/", ""), ("inbox", ""), ("inbox/trip/", "trip/"), ("inbox/a", "a")]
)
def test_a_prefix_is_of_the_inbox(prefix: str, path: str) -> None:
    assert scope_of(prefix) == Scope(path, "renewal")


@pytest.mark.parametrize("prefix", ["trip/", "outbox/", "inboxes/", "/inbox/"])
def test_what_is_no_prefix_of_the_inbox_is_refused(prefix: str) -> None:
    with pytest.raises(ReclassifyError, match="begins with inbox/"):
        scope_of(prefix)


def test_the_message_is_one_that_the_queue_reads(world: World) -> None:
    say(world)
    world.deliver()
    assert json.loads(world.s3.objects[claim_key(RECLASSIFICATION)].body)["confirmed"] is True
