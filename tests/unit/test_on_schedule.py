"""The clock: every open run is asked to go on."""

from typing import Any

from batch.bucket import Bucket
from domain.keys import claim_key
from domain.scope import Scope
from functions.on_schedule import MOST, sweep
from tests.fakes import FakeS3, FakeSQS

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
    assert sweep(Bucket(client, "bucket"), sqs, QUEUE) == len(sqs.sent)
    assert {url for url, _, _ in sqs.sent} <= {QUEUE}
    return [body for _, body, _ in sqs.sent]


def test_every_open_run_is_asked_to_go_on() -> None:
    asked = swept(with_runs("one/", "two/", "big.jpg"))
    tokens = {Scope(path).token for path in ("one/", "two/", "big.jpg")}
    assert {message["advance"]["token"] for message in asked} == tokens


def test_without_open_runs_nothing_is_sent() -> None:
    assert swept(with_runs()) == []


def test_a_tick_reaches_so_many_runs_and_no_more() -> None:
    asked = swept(with_runs(*(f"{number}/" for number in range(MOST + 10))))
    assert len(asked) == MOST
