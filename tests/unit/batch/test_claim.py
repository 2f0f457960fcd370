"""The claim: whoever holds it may write and end; nobody else may, and nobody is forgotten."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from aws.bucket import Bucket
from batch import claim
from batch.claim import ContendedError, Run, RunClosedError
from domain import timestamps
from domain.keys import claim_key
from domain.scope import RECLASSIFICATION, Kind, Scope
from functions.messages import Reclassify, Start, to_json
from tests.support.fakes.aws import error, no_hook
from tests.support.worlds.folders import World

TRIP = Scope("trip/")
TABLE = "outbox/trip/predictions.csv"


@pytest.fixture
def world() -> World:
    return World()


def bucket(world: World) -> Bucket:
    s3: Any = world.s3
    return Bucket(s3, "bucket")


def take_over(world: World) -> Run:
    """The folder's run ends, and the next begins."""
    claimed = claim.read(bucket(world), TRIP.token)
    assert claimed is not None
    claim.close(world.cloud, claimed.run)
    return claim.claim(world.cloud, TRIP)


@pytest.mark.parametrize("waiting", [TRIP, Scope("trip/", "renewal")])
def test_a_run_that_cannot_tell_those_who_wait_stays_open(world: World, waiting: Scope) -> None:
    live = Scope("a/", "renewal") if waiting.is_reclassification else waiting
    run = claim.claim(world.cloud, live)
    claim.claim(world.cloud, waiting)
    send = world.sqs.send_message

    def refuse(**_: Any) -> dict[str, Any]:
        raise error("SendMessage", 403, "AccessDenied")

    world.sqs.send_message = refuse  # type: ignore[method-assign]
    with pytest.raises(Exception, match="AccessDenied"):
        claim.close(world.cloud, run)
    assert claim.read(bucket(world), live.token), (
        "The claim went before those who wait in it were told: after a crash nobody knows of them."
    )

    world.sqs.send_message = send  # type: ignore[method-assign]
    claim.close(world.cloud, run)
    assert claim.read(bucket(world), live.token) is None
    assert len(world.sqs.sent) == 1, "the one who waited is told when it is tried again"


def test_the_claim_is_still_there_while_those_who_wait_are_told(world: World) -> None:
    run = claim.claim(world.cloud, Scope("a/", "renewal"))
    claim.claim(world.cloud, Scope("b/", "unanswered"))
    send, there = world.sqs.send_message, list[bool]()

    def look(**message: Any) -> dict[str, Any]:
        there.append(claim_key(RECLASSIFICATION) in world.s3.objects)
        return send(**message)

    world.sqs.send_message = look  # type: ignore[method-assign]
    claim.close(world.cloud, run)
    assert there == [True], "To delete first is to lose who waits, if the process dies in between."


def test_a_file_that_a_later_run_wrote_is_not_replaced_by_an_earlier_one(world: World) -> None:
    """The later run takes over and writes while the earlier one looks at what stands."""
    first = claim.claim(world.cloud, TRIP)
    claim.publish(bucket(world), first, TABLE, "first")
    taken: list[Run] = []

    def meanwhile(operation: str, key: str) -> None:
        if (operation, key) == ("HeadObject", TABLE) and not taken:
            taken.append(first)
            taken.append(take_over(world))
            claim.publish(bucket(world), taken[-1], TABLE, "second")

    world.s3.hook = meanwhile
    with pytest.raises(RunClosedError):
        claim.publish(bucket(world), first, TABLE, "first, once more")
    assert world.s3.objects[TABLE].body == b"second", (
        "The claim has to be looked at after what stands, or a run that is over overwrites the "
        "table of the one that followed it."
    )


@pytest.mark.parametrize("operation", ["HeadObject", "GetObject", "PutObject"])
def test_whenever_a_later_run_writes_its_file_stays(world: World, operation: str) -> None:
    first = claim.claim(world.cloud, TRIP)
    claim.publish(bucket(world), first, TABLE, "first")
    taken: list[Run] = []

    def meanwhile(called: str, key: str) -> None:
        if called == operation and not taken:
            taken.append(first)
            claim.publish(bucket(world), take_over(world), TABLE, "second")

    world.s3.hook = meanwhile
    with pytest.raises(RunClosedError):
        claim.publish(bucket(world), first, TABLE, "first, once more")
    assert world.s3.objects[TABLE].body == b"second"


def test_a_run_that_is_over_writes_nothing_while_the_next_is_open(world: World) -> None:
    first = claim.claim(world.cloud, TRIP)
    take_over(world)
    with pytest.raises(RunClosedError):
        claim.publish(bucket(world), first, TABLE, "first")
    assert TABLE not in world.s3.objects, (
        "An open claim is not enough: its nonce says whose it is, and this run's is another."
    )


def test_a_run_that_is_over_does_not_end_the_next(world: World) -> None:
    first = claim.claim(world.cloud, TRIP)
    second = take_over(world)
    with pytest.raises(RunClosedError):
        claim.close(world.cloud, first)
    claimed = claim.read(bucket(world), TRIP.token)
    assert claimed is not None
    assert claimed.run == second, "The claim of another run was deleted: its nonce was not read."


def test_who_asked_meanwhile_is_told_once_and_by_the_timer_that_is_left(world: World) -> None:
    run = claim.claim(world.cloud, TRIP)
    claim.claim(world.cloud, TRIP)
    claim.claim(world.cloud, TRIP)
    timer = world.debounce("trip/", "0123456789")
    claim.close(world.cloud, run)
    assert told(world) == [to_json(timer)]


def test_who_asked_for_nothing_is_told_nothing(world: World) -> None:
    claim.close(world.cloud, claim.claim(world.cloud, TRIP))
    assert told(world) == []


def test_a_run_that_is_to_be_done_again_is_asked_for_without_a_timer(world: World) -> None:
    claim.close(world.cloud, claim.claim(world.cloud, TRIP), again=True)
    assert told(world) == [to_json(Start("trip/"))]


def test_sweeps_that_wait_are_told_as_they_were_asked_for(world: World) -> None:
    run = claim.claim(world.cloud, Scope("a/", "renewal"))
    claim.claim(world.cloud, Scope("b/", "renewal"), confirmed=True)
    claim.claim(world.cloud, Scope("c/", "unanswered"))
    claim.close(world.cloud, run)
    assert told(world) == [
        to_json(Reclassify("b/", "renewal", True)),
        to_json(Reclassify("c/", "unanswered", False)),
    ]


def told(world: World) -> list[str]:
    return [json.dumps(body) for _, body, _ in world.sqs.sent]


def waiting_after(world: World, *asked: tuple[str, Kind, bool]) -> tuple[claim.QueuedScope, ...]:
    """Who waits in the claim of a sweep of `a/` once these have been asked for."""
    claim.claim(world.cloud, Scope("a/", "unanswered"))
    for path, kind, confirmed in asked:
        claim.claim(world.cloud, Scope(path, kind), confirmed)
    found = claim.read(bucket(world), RECLASSIFICATION)
    assert found is not None
    return found.run.waiting


def test_a_sweep_that_another_one_in_line_covers_is_not_lined_up_beside_it(world: World) -> None:
    asked: list[tuple[str, Kind, bool]] = [("b/", "renewal", False), ("b/c/", "unanswered", False)]
    assert waiting_after(world, *asked) == (("b/", "renewal", False),)


def test_a_renewal_is_not_covered_by_a_search_for_the_unanswered(world: World) -> None:
    asked: list[tuple[str, Kind, bool]] = [("b/", "unanswered", False), ("b/", "renewal", False)]
    assert waiting_after(world, *asked) == tuple(asked)


def test_a_confirmation_confirms_who_covers_it_and_nobody_else(world: World) -> None:
    asked: list[tuple[str, Kind, bool]] = [
        ("b/", "renewal", False),
        ("c/", "renewal", False),
        ("c/d/", "renewal", True),
    ]
    assert waiting_after(world, *asked) == (("b/", "renewal", False), ("c/", "renewal", True)), (
        "A person has seen what one sweep costs, and not what another does."
    )


def test_what_was_confirmed_stays_so_when_it_is_asked_for_again_by_a_schedule(world: World) -> None:
    asked: list[tuple[str, Kind, bool]] = [("b/", "renewal", True), ("b/", "renewal", False)]
    assert waiting_after(world, *asked) == (("b/", "renewal", True),)


@pytest.mark.parametrize(
    ("early", "late", "confirmed"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_one_sweep_of_all_stands_for_many_and_is_confirmed_if_one_of_them_was(
    world: World, early: bool, late: bool, confirmed: bool
) -> None:
    many = [(f"{number:03}/", "renewal", early) for number in range(claim.MOST_QUEUED)]
    asked: list[tuple[str, Kind, bool]] = [*many, ("z/", "unanswered", late)]  # type: ignore[list-item]
    assert waiting_after(world, *asked) == (("", "renewal", confirmed),)


def test_a_sweep_that_is_to_be_done_again_keeps_its_confirmation(world: World) -> None:
    for confirmed in (True, False):
        scope = Scope("a/", "renewal")
        claim.close(world.cloud, claim.claim(world.cloud, scope, confirmed), again=True)
    assert told(world) == [
        to_json(Reclassify("a/", "renewal", True)),
        to_json(Reclassify("a/", "renewal", False)),
    ]


def test_a_claim_that_changes_under_every_attempt_is_left_to_the_queue(world: World) -> None:
    run = claim.claim(world.cloud, TRIP)

    def change_it(operation: str, key: str) -> None:
        if key == claim_key(TRIP.token) and operation in ("PutObject", "DeleteObject"):
            world.s3.hook = no_hook
            world.put(key, run.to_json().encode() + b" " * (len(seen) + 1))
            seen.append(operation)
            world.s3.hook = change_it

    seen: list[str] = []
    world.s3.hook = change_it
    attempts: dict[str, Callable[[], object]] = {
        "the claim of 'trip/' changed 8 times": lambda: claim.close(world.cloud, run),
        f"the claim {TRIP.token!r} changed 8 times": lambda: claim.change(
            bucket(world), TRIP.token, lambda run: replace(run, again=True)
        ),
    }
    for sentence, attempt in attempts.items():
        before = len(seen)
        with pytest.raises(ContendedError, match=f"^{re.escape(sentence)}$"):
            attempt()
        assert len(seen) - before == claim.WRITE_ATTEMPTS
    with pytest.raises(ContendedError, match=r"^the claim of 'trip/' changed 8 times$"):
        claim.claim(world.cloud, TRIP)


def test_a_file_that_changes_under_every_attempt_is_left_to_the_queue(world: World) -> None:
    run = claim.claim(world.cloud, TRIP)

    def change_it(operation: str, key: str) -> None:
        if (operation, key) == ("PutObject", TABLE):
            world.s3.hook = no_hook
            world.put(key, b"x" * (len(seen) + 1))
            seen.append(operation)
            world.s3.hook = change_it

    seen: list[str] = []
    world.s3.hook = change_it
    with pytest.raises(ContendedError, match=f"^{TABLE!r} changed 8 times$"):
        claim.publish(bucket(world), run, TABLE, "mine")
    assert len(seen) == claim.WRITE_ATTEMPTS


def test_a_claim_is_read_as_it_was_written_and_as_earlier_versions_wrote_it() -> None:
    run = Run(
        "trip/", "0123456789", "2026-01-01T00:00:00+00:00", True, waiting=(("é", "renewal", True),)
    )
    assert Run.from_json(run.to_json().encode()) == run
    assert "é" in run.to_json(), "people read claims"
    old = b'{"path": "trip/", "nonce": "ab", "started_at": "2026-01-01", "first": false}'
    assert Run.from_json(old) == Run("trip/", "ab", "2026-01-01", False)


@pytest.mark.parametrize(
    ("scope", "summary", "first"),
    [
        (Scope("trip/"), False, True),
        (Scope("trip/"), True, False),
        (Scope("big.jpg"), False, True),
        (Scope("trip/", "renewal"), False, False),
    ],
)
def test_a_new_run_says_what_it_is_about(
    world: World, scope: Scope, summary: bool, first: bool
) -> None:
    if summary:
        world.put("outbox/trip/_summary.json", b"{}")
    run = claim.claim(world.cloud, scope, confirmed=True)
    began = timestamps.to_text(world.s3.clock.now)
    assert run == Run(scope.path, "0000000001", began, first, kind=scope.kind, confirmed=True)
    asked = claim.claim(world.cloud, scope)
    assert asked == (run if scope.is_reclassification else replace(run, again=True))


def test_a_change_is_written_to_the_run_as_it_is(world: World) -> None:
    """Somebody else changed it between the look and the write: neither change is lost."""
    run = claim.claim(world.cloud, TRIP)
    raced: list[str] = []

    def race(operation: str, key: str) -> None:
        if operation == "PutObject" and not raced:
            raced.append(key)
            claim.claim(world.cloud, TRIP)

    world.s3.hook = race
    changed = claim.change(bucket(world), TRIP.token, lambda run: replace(run, paused=True))
    assert changed == replace(run, again=True, paused=True)
    found = claim.read(bucket(world), TRIP.token)
    assert found is not None
    assert found.run == changed


def test_a_change_of_no_run_is_none(world: World) -> None:
    assert claim.change(bucket(world), TRIP.token, lambda run: run) is None


def test_a_sweep_tells_people_in_a_folder_of_its_own() -> None:
    sweep = Run("a/", "0123456789", "2026-01-02T03:04:05+00:00", False, kind="renewal")
    assert sweep.file("_status.json") == "outbox/_reclassify/20260102030405-0123456789/_status.json"
    trip = Run("trip/", "0123456789", "2026-01-02T03:04:05+00:00", True)
    assert trip.file("_status.json") == "outbox/trip/_status.json"


@pytest.mark.parametrize(
    ("confirmed", "asked", "then"),
    [(False, True, True), (True, False, True), (False, False, False)],
)
@pytest.mark.parametrize("paused", [True, False])
def test_a_person_resumes_and_confirms_a_sweep_and_a_schedule_does_neither(
    world: World, confirmed: bool, asked: bool, then: bool, paused: bool
) -> None:
    scope = Scope("a/", "renewal")
    claim.claim(world.cloud, scope, confirmed)
    claim.change(bucket(world), RECLASSIFICATION, lambda run: replace(run, paused=paused))
    run = claim.claim(world.cloud, scope, confirmed=asked)
    assert (run.confirmed, run.paused) == (then, paused and not asked)


def test_a_file_is_published_as_what_it_is(world: World) -> None:
    run = claim.claim(world.cloud, TRIP)
    claim.publish(bucket(world), run, TABLE, "a,b", "text/csv")
    assert world.s3.objects[TABLE].content_type == "text/csv"
    claim.publish(bucket(world), run, TABLE, "{}")
    assert world.s3.objects[TABLE].content_type == "application/json"


def test_a_run_that_is_over_is_named(world: World) -> None:
    run = claim.claim(world.cloud, TRIP)
    claim.close(world.cloud, run)
    with pytest.raises(RunClosedError, match=f"^{run.nonce}$"):
        claim.close(world.cloud, run)
