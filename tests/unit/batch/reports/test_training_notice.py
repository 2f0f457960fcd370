"""Whoever waits for a training is told once that it has ended, however often SageMaker tells."""

from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch.reports import training_notice
from functions.messages import ForeignJob, parse_folder
from tests.support.fakes.aws import error
from tests.support.worlds.folders import World
from tests.support.worlds.mortality import Death, Killed

JOB = "sortbox-test-dogs-0a1b2c3d-1"
MODEL = "s3://bucket/training/jobs/x/model.tar.gz"


def event(status: str = "Completed", name: str = JOB, **more: Any) -> dict[str, Any]:
    """As EventBridge delivers it to an SQS target; the detail mirrors Describe."""
    detail = {
        "TrainingJobName": name,
        "TrainingJobStatus": status,
        "ModelArtifacts": {"S3ModelArtifacts": MODEL},
    }
    return {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Training Job State Change",
        "detail": detail | more,
    }


def tell(world: World, *events: dict[str, Any]) -> None:
    for each in events:
        world.sqs.sent.append((world.settings.folder_queue_url, each, 0))
    world.drain()


def detail_of(world: World) -> dict[str, Any]:
    (detail,) = world.events.details
    (entry,) = world.events.taken
    assert entry["DetailType"] == "Sortbox Training Ended"
    return detail


def test_a_training_that_has_finished_is_told_with_what_to_do_next() -> None:
    world = World()
    tell(world, event())
    detail = detail_of(world)
    assert (detail["kind"], detail["job"], detail["state"]) == ("training", JOB, "finished")
    assert (detail["reason"], detail["model"]) == (None, MODEL)
    assert detail["id"] == f"test-{JOB}"
    assert detail["message"] == (
        f"Sortbox test: training {JOB} finished. ./sortbox promote --stage test --job {JOB}"
    )


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [("Failed", "failed", "failed (loss diverged)"), ("Stopped", "stopped", "was stopped")],
)
def test_a_training_that_has_not_finished_is_told_as_well(
    status: str, state: str, words: str
) -> None:
    world = World()
    reason = {"FailureReason": "loss diverged."} if status == "Failed" else {}
    tell(world, event(status, **reason))
    detail = detail_of(world)
    assert (detail["state"], detail["model"]) == (state, None)
    assert words in detail["message"]
    assert "promote" not in detail["message"]


def test_a_reason_is_bounded() -> None:
    world = World()
    tell(world, event("Failed", FailureReason="x" * 5_000))
    assert len(detail_of(world)["reason"]) == 500


def test_events_that_come_several_times_are_one_notice() -> None:
    world = World()
    tell(world, event(), event(), event())
    detail_of(world)


def test_each_training_has_its_notice() -> None:
    world = World()
    tell(world, event(), event(name=f"{JOB}2"))
    assert {detail["job"] for detail in world.events.details} == {JOB, f"{JOB}2"}


@pytest.mark.parametrize(
    "other",
    [
        event("InProgress"),
        event("Stopping"),
        event(name="sortbox-prod-dogs-1"),
        event(name="somebodys-job"),
        event(TuningJobArn="arn:aws:sagemaker:eu-west-1:1:hyper-parameter-tuning-job/sortbox-test"),
    ],
    ids=["runs", "stops", "another stage", "another application", "a trial of a search"],
)
def test_other_jobs_are_told_to_nobody(other: dict[str, Any]) -> None:
    world = World()
    tell(world, other)
    assert world.events.taken == []


def test_an_event_of_another_form_is_no_dead_letter() -> None:
    message = parse_folder(
        '{"source": "aws.sagemaker", "detail": {"TrainingJobName": "a", "TrainingJobStatus": 7}}',
        "test",
    )
    assert message == ForeignJob("a")


def test_what_eventbridge_does_not_take_is_sent_again_and_given_up_in_the_end() -> None:
    world = World()

    def outage(operation: str, key: str) -> None:
        raise error("PutEvents", 500, "InternalFailure")

    world.events.hook = outage
    with pytest.raises(ClientError):
        tell(world, event())
    assert world.events.taken == []
    world.s3.clock.tick(world.limits.notice_patience_seconds + 1)
    assert not training_notice.give(
        world.cloud, training_notice.TrainingEnded(JOB, "Completed", None, MODEL)
    )
    world.events.hook = lambda *_: None
    assert not training_notice.give(
        world.cloud, training_notice.TrainingEnded(JOB, "Completed", None, MODEL)
    ), "what was given up stays so: otherwise an old notice would come out of the blue"


@pytest.mark.parametrize("at", range(1, 6))
def test_a_process_that_dies_anywhere_leaves_the_notice_to_the_next(at: int) -> None:
    """Twice only where it dies between EventBridge's answer and the mark, with the same id."""
    world = World()
    death = Death(at)
    ended = training_notice.TrainingEnded(JOB, "Completed", None, MODEL)
    world.s3.hook = death
    for _ in range(3):
        with suppress(Killed):
            training_notice.give(world.cloud, ended)
        death.revive()
    details = world.events.details
    assert 1 <= len(details) <= 2
    assert {detail["id"] for detail in details} == {f"test-{JOB}"}
