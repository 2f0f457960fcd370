"""The stage's bound on transform jobs at once, and the line of runs that wait for one of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batch.jobs import slots
from batch.jobs.slots import acquire
from batch.run import begin
from domain.keys import SLOTS, TICKETS, JobName, ticket_key, ticket_since, ticket_token
from domain.scope import Scope
from functions.on_schedule import measure_queue
from functions.runtime import metrics
from infra.diagnostics.findings import StatusSources, of_jobs
from infra.stage import Stage
from tests.support.fakes.aws import error
from tests.support.worlds.folders import ON_FOLDER, World


def world_of(jobs: int, late: int = 3) -> World:
    return World(settings=replace(ON_FOLDER, transform_jobs=jobs, endpoint_max_late=late))


def wait(world: World, seconds: float) -> None:
    world.s3.clock.now += timedelta(seconds=seconds)


def tickets(world: World) -> list[str]:
    return sorted(ticket_token(key) for key in world.s3.objects if key.startswith(TICKETS))


def job(number: int) -> JobName:
    return JobName("test", "trip", f"{number:010x}", 1, 0, 0)


def test_two_hundred_folders_of_one_image_never_run_more_jobs_than_the_stage_may() -> None:
    world = world_of(jobs=3)
    most = 0
    for number in range(200):
        world.fill(f"inbox/f{number:03}/a.jpg")
        world.start(f"f{number:03}/")
        most = max(most, len(world.sagemaker.running()))
    assert world.status("f199/")["state"] == "waiting for other jobs"
    assert len(tickets(world)) == 197
    order = []
    while running := world.sagemaker.running():
        most = max(most, len(running))
        order += [name.split("-")[2] for name in running[:1]]
        world.sagemaker.end(running[0])
        world.changed(running[0])
    assert most == 3, "a bound that a burst of folders passes is none"
    assert len(world.answered()) == 200
    assert order == sorted(order), "whoever waited first is served first"
    assert world.open_runs() == []
    assert tickets(world) == []


def test_the_bound_holds_whatever_other_processes_do_before_any_call() -> None:
    """Before each call of one start, the next folder is started as a whole by another process."""
    world = world_of(jobs=2)
    folders = [f"f{number:02}/" for number in range(40)]
    for path in folders:
        world.fill(f"inbox/{path}a.jpg")
    left, depth, most = iter(folders), 0, 0

    def meddle(operation: str = "", key: str = "") -> None:
        nonlocal depth, most
        most = max(most, len(world.sagemaker.running()))
        is_ours = key.startswith((SLOTS, TICKETS)) or not operation
        path = next(left, None) if is_ours and depth < 3 else None
        if path:
            depth += 1
            world.folders()._advance(begin(world.cloud, Scope(path)))
            depth -= 1

    world.s3.hook = meddle
    world.sagemaker.meanwhile = meddle
    for path in left:
        world.folders()._advance(begin(world.cloud, Scope(path)))
    world.s3.hook = lambda operation, key: None
    assert len(world.open_runs()) == 40
    assert most == len(world.sagemaker.running()) == 2
    world.drain()
    world.tick()
    world.finish_jobs(rounds=100)
    assert len(world.answered()) == 40


def test_of_two_that_take_the_last_slot_at_the_same_moment_one_waits() -> None:
    """Both have seen that it is free; the other's write comes just before this one's."""
    world = world_of(jobs=1)
    one, other = begin(world.cloud, Scope("a/")), begin(world.cloud, Scope("b/"))
    taken: list[bool] = []

    def meddle(operation: str, key: str) -> None:
        if operation == "PutObject" and key.startswith(SLOTS):
            world.s3.hook = lambda operation, key: None
            taken.append(acquire(world.cloud, other, job(2)))

    world.s3.hook = meddle
    taken.append(acquire(world.cloud, one, job(1)))
    assert taken == [True, False]


def test_a_job_asked_for_twice_takes_one_slot() -> None:
    world = world_of(jobs=2)
    world.fill("inbox/a/1.jpg")
    run = begin(world.cloud, Scope("a/"))
    assert acquire(world.cloud, run, job(1))
    assert acquire(world.cloud, run, job(1))
    assert acquire(world.cloud, run, job(2))
    assert not acquire(world.cloud, run, job(3))


def test_a_slot_whose_job_was_never_created_is_kept_for_it_and_then_free() -> None:
    """A process that died, or is slow: it may still create its job until its time is up."""
    world = world_of(jobs=1)
    run, other = begin(world.cloud, Scope("a/")), begin(world.cloud, Scope("b/"))
    assert acquire(world.cloud, run, job(1))
    wait(world, 1_700)
    assert not acquire(world.cloud, other, job(2))
    assert acquire(world.cloud, run, job(1)), "it is its own, and is kept for as long again"
    wait(world, 1_700)
    assert not acquire(world.cloud, other, job(2))
    wait(world, 200)
    assert acquire(world.cloud, other, job(2))
    assert not acquire(world.cloud, run, job(1))


def test_a_folder_of_many_jobs_goes_to_the_end_of_the_line_after_each() -> None:
    world = world_of(jobs=1, late=0)
    world.fill(*(f"inbox/large/{number:02}.jpg" for number in range(12)))  # three slices
    world.start("large/")
    world.fill("inbox/small/1.jpg")
    world.start("small/")
    assert world.status("small/")["state"] == "waiting for other jobs"
    (first,) = world.sagemaker.running()
    world.sagemaker.end(first)
    world.changed(first)
    (second,) = world.sagemaker.running()
    assert "-small-" in second, "one folder's next slice does not go before another that waits"
    world.finish_jobs()
    assert len(world.answered()) == 13


def test_a_sweep_and_folders_take_turns() -> None:
    world = world_of(jobs=1, late=0)
    world.fill(*(f"inbox/old/{number:02}.jpg" for number in range(12)))
    world.answer(*(f"inbox/old/{number:02}.jpg" for number in range(12)))
    world.promote(2)
    world.sweep()
    (sweeping,) = world.sagemaker.running()
    for number in range(3):
        world.fill(f"inbox/f{number}/1.jpg")
        world.start(f"f{number}/")
    seen = []
    for _ in range(20):
        running = world.sagemaker.running()
        if not running:
            wait(world, 3_700)
            world.tick()
            continue
        seen.append(running[0].split("-")[2])
        world.sagemaker.end(running[0])
        world.changed(running[0])
    assert seen[:4] == ["renewal", "f0", "f1", "f2"]
    assert seen.count("renewal") >= 3, "and the sweep comes to its end"
    assert sweeping
    assert world.open_runs() == []


def test_a_run_that_never_comes_to_take_its_slot_loses_its_place() -> None:
    """Its messages fail before it asks: what is held up elsewhere holds up nobody here."""
    world = world_of(jobs=1)
    stuck, other = begin(world.cloud, Scope("a/")), begin(world.cloud, Scope("b/"))
    assert acquire(world.cloud, begin(world.cloud, Scope("c/")), job(1))
    assert not acquire(world.cloud, stuck, job(2))
    wait(world, 60)
    assert not acquire(world.cloud, other, job(3))
    world.s3.objects.pop(next(key for key in world.s3.objects if key.startswith(SLOTS)))
    assert not acquire(world.cloud, other, job(3)), "the slot is free, and another's turn"
    wait(world, 1_900)
    assert acquire(world.cloud, other, job(3))


def test_a_run_that_ended_while_it_waited_is_taken_out_of_the_line() -> None:
    world = world_of(jobs=1)
    gone, other = begin(world.cloud, Scope("a/")), begin(world.cloud, Scope("b/"))
    assert acquire(world.cloud, begin(world.cloud, Scope("c/")), job(1))
    assert not acquire(world.cloud, gone, job(2))
    world.s3.objects.pop(f"work/claims/{gone.scope.token}.json")
    world.s3.objects.pop(next(key for key in world.s3.objects if key.startswith(SLOTS)))
    assert acquire(world.cloud, other, job(3))
    assert tickets(world) == []


def test_the_end_of_a_job_wakes_those_at_the_head_of_the_line() -> None:
    world = world_of(jobs=1)
    for name in ("a", "b", "c", "d"):
        world.fill(f"inbox/{name}/1.jpg")
        world.start(f"{name}/")
    sent: list[str] = []
    slots.call_next(replace(world.cloud, advance_later=sent.append))
    assert sent == [Scope("b/").token, Scope("c/").token]


def test_a_job_that_sagemaker_refuses_gives_its_slot_back() -> None:
    world = world_of(jobs=1)

    def refuse() -> None:
        raise error("CreateTransformJob", 400, "AccessDeniedException")

    world.sagemaker.meanwhile = refuse
    world.fill("inbox/a/1.jpg", "inbox/b/1.jpg")
    world.start("a/")
    assert world.status("a/")["state"] == "failed"
    world.sagemaker.meanwhile = lambda: None
    world.start("b/")
    assert len(world.sagemaker.running()) == 1


def test_a_run_far_back_in_the_line_asks_with_one_list() -> None:
    world = world_of(jobs=1)
    runs = [begin(world.cloud, Scope(f"f{number}/")) for number in range(4)]
    for number, run in enumerate(runs):
        acquire(world.cloud, run, job(number))
    before = dict(world.s3.calls)
    assert not acquire(world.cloud, runs[3], job(3))
    spent = {name: count - before.get(name, 0) for name, count in world.s3.calls.items()}
    assert {name: count for name, count in spent.items() if count} == {
        "ListObjectsV2": 1,
        "PutObject": 1,
    }


@pytest.mark.parametrize("token", ["sweep", "trip-0123456789abcdef", "a-b-c-0123456789abcdef"])
def test_a_tickets_key_tells_its_time_and_its_run(token: str) -> None:
    since = World().s3.clock.now
    assert ticket_token(ticket_key(since, token)) == token
    assert ticket_since(ticket_key(since, token)) == since
    assert ticket_key(since, token) < ticket_key(since + timedelta(seconds=1), "a")


def test_the_clock_and_status_tell_how_many_runs_wait_and_since_when() -> None:
    world = world_of(jobs=1)
    world.s3.clock.now = datetime.now(UTC) - timedelta(seconds=120)
    for name in ("a", "b", "c"):
        world.fill(f"inbox/{name}/1.jpg")
        world.start(f"{name}/")
    wait(world, 120)
    metrics.clear_metrics()
    measure_queue(world.cloud.bucket, world.cloud.now())
    told: Any = metrics.serialize_metric_set()
    metrics.clear_metrics()
    assert told["RunsWaiting"] == [2]
    assert told["LongestRunWait"][0] == pytest.approx(120, abs=1)

    look = StatusSources(Stage("test"), world.cloud.bucket, Any, Any)  # type: ignore[arg-type]
    (finding,) = of_jobs(look)
    assert finding.sentence.startswith("2 runs wait for one of the stage's 1 transform jobs")


def test_tickets_that_lapsed_are_taken_away_and_hide_nobody_in_line() -> None:
    """More runs wait than come by within a ticket's life, each time under another ticket."""
    world = world_of(jobs=1, late=0)
    world.limits = replace(world.limits, tickets=5)
    for number in range(15):
        world.fill(f"inbox/f{number:02}/a.jpg")
        world.start(f"f{number:02}/")
    for _ in range(3):
        wait(world, world.limits.ticket_seconds + 100)
        world.tick()
    assert slots.waiting(world.cloud.bucket, world.cloud.now(), world.cloud.limits)
    assert len(tickets(world)) <= 15 + 5
    world.finish_jobs(rounds=100)
    for _ in range(15):
        wait(world, 300)
        world.tick()
        world.finish_jobs(rounds=100)
    assert world.open_runs() == []
    wait(world, world.limits.ticket_seconds + 100)
    world.fill("inbox/last/a.jpg")
    world.run("last/")
    assert tickets(world) == []
