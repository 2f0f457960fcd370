"""Trouble of ours is never an answer: whatever fails, nobody is rejected, all is made up for."""

from collections import Counter
from random import Random

import pytest

from tests.faults.cloud.expected import verdict_on
from tests.faults.cloud.traffic import POISON, Plan, Poison, Size, plan
from tests.faults.simulation.alarms import Alarm
from tests.faults.simulation.doors import BACKLOG, FOLDER, INBOX, PAGE
from tests.faults.simulation.simulation import Simulation
from tests.faults.simulation.weather import Climate, Outage
from tests.faults.test_simulation import quiet
from tests.support.builders.packaged import of_type, packaged

__all__ = ["quiet"]

SIZE = Size(400, 150, folder_objects=60, seconds=1_200, large=0, promotions=0, poison=0)
BEGIN = 200.0
MINUTE, HOUR = 60.0, 3_600.0
DRAINED_SECONDS = 120.0
RINGS_SECONDS = 15 * MINUTE
NOT_SIMULATED = {
    "AWS/Lambda": "a function that fails as a whole",
    "AWS/SageMaker": "the endpoint's own count of 5XX",
}

OF_S3 = ("HeadObject", "GetObject", "PutObject", "DeleteObject", "ListObjectsV2")
TROUBLES = {
    "S3 denies": Outage(OF_S3, 403, "AccessDenied"),
    "S3 denies HEADs": Outage(("HeadObject",), 403, "403"),
    "S3 throttles": Outage(OF_S3, 503, "SlowDown"),
    "S3 fails": Outage(OF_S3, 500, "InternalError"),
    "the key that encrypts is disabled": Outage(("GetObject",), 400, "KMS.DisabledException"),
    "the key may not be used": Outage(("GetObject", "PutObject"), 403, "AccessDenied"),
    "the bucket is gone": Outage(OF_S3, 404, "NoSuchBucket"),
    "the endpoint denies": Outage(("InvokeEndpoint",), 403, "AccessDeniedException"),
    "the endpoint throttles": Outage(("InvokeEndpoint",), 429, "ThrottlingException"),
    "the endpoint has no capacity": Outage(("InvokeEndpoint",), 503, "ServiceUnavailable"),
    "the endpoint fails": Outage(("InvokeEndpoint",), 500, "InternalFailure"),
    "there is no endpoint": Outage(("InvokeEndpoint",), 400, "ValidationError"),
    "the model is not ready": Outage(("InvokeEndpoint",), 429, "ModelNotReadyException"),
    "the container answers nothing": Outage(("InvokeEndpoint",), 424, "ModelError"),
    "jobs have no capacity": Outage(("CreateTransformJob",), 400, "ResourceLimitExceeded"),
    "jobs are throttled": Outage(("CreateTransformJob",), 400, "ThrottlingException"),
    "queues deny": Outage(("SendMessage", "ChangeMessageVisibility"), 403, "AccessDenied"),
}


def images_only(seed: int) -> Plan:
    """No image here deserves a rejection; folders start by their markers alone."""
    planned = plan(Random(seed), SIZE)
    return [(at, act) for at, act in planned if b"junk" not in getattr(act, "body", b"")]


def suffer(trouble: Outage, seconds: float) -> Simulation:
    outage = Outage(trouble.operations, trouble.status, trouble.code, BEGIN, BEGIN + seconds)
    simulation = Simulation(1, images_only(1), Climate(0, 0, 0), outage)
    simulation.collector_kills = 0
    simulation.run()
    return simulation


def assert_made_up_for(simulation: Simulation) -> None:
    verdict = verdict_on(simulation)
    assert simulation.weather.seen["in an outage"] > 0
    assert verdict.trouble() == {}
    assert verdict.rejected == 0
    assert [simulation.queues[url].dead for url in (INBOX, BACKLOG, FOLDER, PAGE)] == [[]] * 4


@pytest.mark.parametrize("trouble", TROUBLES)
def test_nobody_is_rejected_for_ten_minutes_of_trouble(trouble: str) -> None:
    assert_made_up_for(suffer(TROUBLES[trouble], 10 * MINUTE))


def alarms() -> list[Alarm]:
    """Of the stage, but for those on what only AWS counts: see NOT_SIMULATED."""
    deployed = of_type(packaged("dev"), "AWS::CloudWatch::Alarm").values()
    return [Alarm.of(each) for each in deployed if each["Namespace"] not in NOT_SIMULATED]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_trouble_rings_within_a_quarter_of_an_hour(trouble: str) -> None:
    simulation = suffer(TROUBLES[trouble], 30 * MINUTE)
    rings = {alarm.name: at for alarm in alarms() if (at := alarm.rings_at(simulation.measures))}
    assert rings, "nobody is told"
    assert min(rings.values()) <= simulation.weather.first_outage_at + RINGS_SECONDS, rings


def test_nothing_rings_without_trouble() -> None:
    simulation = Simulation(1, images_only(1), Climate(0, 0, 0))
    simulation.run()
    assert [alarm.name for alarm in alarms() if alarm.rings_at(simulation.measures)] == []


@pytest.mark.parametrize("trouble", ["the endpoint fails", "S3 throttles", "S3 denies"])
def test_two_minutes_after_an_hour_of_trouble_the_inbox_is_empty(trouble: str) -> None:
    """Everything was dropped while it lasted; time is compressed, work takes none."""
    simulation = suffer(TROUBLES[trouble], HOUR)
    assert_made_up_for(simulation)
    for lane in (INBOX, BACKLOG):
        assert simulation.last_done[lane] <= BEGIN + HOUR + DRAINED_SECONDS


@pytest.mark.parametrize("trouble", ["the endpoint fails", "there is no endpoint"])
def test_an_hour_without_an_endpoint_costs_a_single_no_calls_of_s3(trouble: str) -> None:
    """The endpoint is asked about a pixel before an image is fetched; else each try fetches it."""
    outage = Outage(
        TROUBLES[trouble].operations,
        TROUBLES[trouble].status,
        TROUBLES[trouble].code,
        BEGIN,
        BEGIN + HOUR,
    )
    simulation = Simulation(1, images_only(1), Climate(0, 0, 0), outage)
    calls: Counter[str] = Counter()
    before = simulation.storage.hook

    def note(operation: str, key: str) -> None:
        if BEGIN <= simulation.now() < BEGIN + HOUR and key.startswith("inbox/"):
            calls[operation if key.count("/") == 1 else "of folders"] += 1
        before(operation, key)

    simulation.storage.hook = note
    simulation.run()
    assert_made_up_for(simulation)
    singles = sum(key.count("/") == 1 for key in simulation.storage.objects if "inbox/" in key)
    assert singles > 50
    assert calls["HeadObject"] <= 2 * singles
    assert calls["GetObject"] <= 0.1 * singles


def test_what_fails_for_ever_is_given_up_within_half_a_day() -> None:
    simulation = Simulation(1, [(0, Poison(text)) for text in POISON], Climate(0, 0, 0))
    simulation.run()
    assert sorted(simulation.queues[INBOX].dead) == sorted(POISON)
    assert 6 * HOUR < simulation.now() < 13 * HOUR
