"""The clock: every open run is asked to go on."""

import re
from pathlib import Path
from typing import Any

import pytest

from aws.bucket import Bucket
from domain.keys import TICK, claim_key, claimed_token, unpacking_key
from domain.scope import Scope
from functions.on_schedule import (
    RUNS_PER_CHECKPOINT,
    RUNS_PER_TICK,
    advance_archives,
    advance_runs,
)
from tests.support.fakes.aws import FakeS3, FakeSQS, error

QUEUE = "http://queues/folder"


def with_runs(*paths: str) -> FakeS3:
    s3 = FakeS3()
    for path in paths:
        s3.put_object(Bucket="bucket", Key=claim_key(Scope(path).token), Body="{}")
    s3.put_object(Bucket="bucket", Key="work/runs/x/y/slices/1/000000.json", Body="{}")
    return s3


def swept(s3: FakeS3) -> list[Any]:
    client: Any = s3
    sqs: Any = FakeSQS()
    assert advance_runs(Bucket(client, "bucket"), sqs, QUEUE) == len(sqs.sent)
    assert {url for url, _, _ in sqs.sent} <= {QUEUE}
    return [body for _, body, _ in sqs.sent]


def test_every_open_run_is_asked_to_go_on() -> None:
    asked = swept(with_runs("one/", "two/", "big.jpg"))
    tokens = {Scope(path).token for path in ("one/", "two/", "big.jpg")}
    assert {message["advance"]["token"] for message in asked} == tokens


def test_without_open_runs_nothing_is_sent() -> None:
    assert swept(with_runs()) == []


def test_archives_that_are_being_unpacked_get_one_message() -> None:
    s3: Any = FakeS3()
    sqs: Any = FakeSQS()
    advance_archives(Bucket(s3, "bucket"), sqs, QUEUE)
    assert sqs.sent == []
    for name in ("a.zip", "b.zip"):
        s3.put_object(Bucket="bucket", Key=unpacking_key(f"inbox/{name}"), Body="{}")
    advance_archives(Bucket(s3, "bucket"), sqs, QUEUE)
    assert sqs.sent == [(QUEUE, {"next-archive": {"after": ""}}, 0)]


def test_a_tick_reaches_so_many_runs_and_no_more() -> None:
    asked = swept(with_runs(*(f"{number}/" for number in range(RUNS_PER_TICK + 10))))
    assert len(asked) == RUNS_PER_TICK


def test_a_tick_has_time_for_the_runs_that_it_asks() -> None:
    template = (Path(__file__).parents[3] / "serverless.yml").read_text()
    timeout = re.search(r"onSchedule:\n(?:    .*\n)*?    timeout: ([0-9]+)\n", template)
    assert timeout is not None
    assert int(timeout[1]) / 2 >= RUNS_PER_TICK * 0.01, (
        "At 10 ms a message the function is ended before it is through, and its alarm rings."
    )
    assert RUNS_PER_TICK >= 1_000, (
        "Stages with some hundreds of open runs are common after an outage."
    )


def open_run(s3: FakeS3, token: str) -> None:
    s3.put_object(Bucket="bucket", Key=claim_key(token), Body="{}")


def asked_in(s3: FakeS3) -> list[str]:
    return [message["advance"]["token"] for message in swept(s3)]


@pytest.mark.parametrize(
    "runs", [1, RUNS_PER_TICK - 1, RUNS_PER_TICK, RUNS_PER_TICK + 1, 3 * RUNS_PER_TICK + 7]
)
def test_every_run_gets_its_turn_within_so_many_ticks(runs: int) -> None:
    s3 = FakeS3()
    tokens = [f"{number:06}" for number in range(runs)]
    for token in tokens:
        open_run(s3, token)
    for _ in range(3):
        rounds = [asked_in(s3) for _ in range(-(-runs // RUNS_PER_TICK) + 1)]
        assert {token for asked in rounds for token in asked} == {*tokens}
        assert all(len(set(asked)) == len(asked) <= RUNS_PER_TICK for asked in rounds)


def test_runs_that_sort_first_and_never_end_keep_nobody_waiting() -> None:
    """Others begin and end in between; new ones sort before the one that waits."""
    s3 = FakeS3()
    for number in range(RUNS_PER_TICK):
        open_run(s3, f"aaa{number:06}")
    open_run(s3, "zzz")
    ticks = 0
    while "zzz" not in asked_in(s3):
        ticks += 1
        open_run(s3, f"bbb{ticks:06}")
        assert ticks < 3, "the same runs take every tick"


def test_a_tick_that_dies_is_gone_on_with() -> None:
    s3 = FakeS3()
    for number in range(3 * RUNS_PER_CHECKPOINT):
        open_run(s3, f"{number:06}")
    sqs: Any = FakeSQS()
    send = sqs.send_message

    def die(**message: Any) -> Any:
        if len(sqs.sent) == 2 * RUNS_PER_CHECKPOINT + 5:
            raise error("SendMessage", 503, "ServiceUnavailable")
        return send(**message)

    sqs.send_message = die
    client: Any = s3
    with pytest.raises(Exception, match="ServiceUnavailable"):
        advance_runs(Bucket(client, "bucket"), sqs, QUEUE)
    assert asked_in(s3)[0] == f"{2 * RUNS_PER_CHECKPOINT:06}", "what was not asked comes first"


def test_the_place_of_a_run_that_has_ended_is_a_place_all_the_same() -> None:
    s3 = with_runs("one/", "two/")
    gone = claim_key("m")
    s3.put_object(Bucket="bucket", Key=TICK, Body=gone)
    expected = sorted(claimed_token(claim_key(Scope(path).token)) for path in ("one/", "two/"))
    asked = asked_in(s3)
    assert sorted(asked) == expected
    assert asked == [each for each in expected if each > "m"] + [e for e in expected if e < "m"]
