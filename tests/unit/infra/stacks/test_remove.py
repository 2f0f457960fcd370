"""A removal that was interrupted can be repeated: what is left is found."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.stacks.remove import delete_storage, find_bucket, stop_training
from infra.stage import Stage
from tests.support.fakes.aws import error
from tests.support.fakes.stacks import FakeStacks

BUCKET = "sortbox-dev-111122223333-eu-west-1"
STAGE = Stage("dev")
QUEUES = ("inbox", "inbox-dead", "backlog", "backlog-dead")


class QueueDoesNotExistError(Exception):
    """SQS's."""


@dataclass
class Account(FakeStacks):
    """S3, SQS and CloudFormation as far as a removal calls them."""

    buckets: set[str] = field(default_factory=lambda: {BUCKET})
    queues: set[str] = field(default_factory=lambda: {f"sortbox-dev-{n}" for n in QUEUES})
    stacks: set[str] = field(default_factory=lambda: {"sortbox-dev-storage"})
    written_meanwhile: bool = False
    exceptions: Any = None

    def head_bucket(self, *, Bucket: str, ExpectedBucketOwner: str) -> None:
        if Bucket not in self.buckets:
            raise error("HeadBucket", 404, "404")

    def delete_bucket(self, *, Bucket: str) -> None:
        if self.written_meanwhile:
            raise error("DeleteBucket", 409, "BucketNotEmpty")
        self.buckets.remove(Bucket)

    def get_queue_url(self, *, QueueName: str) -> dict[str, str]:
        if QueueName not in self.queues:
            raise QueueDoesNotExistError
        return {"QueueUrl": QueueName}

    def delete_queue(self, *, QueueUrl: str) -> None:
        self.queues.remove(QueueUrl)

    def get_paginator(self, operation: str) -> "Account":
        return self

    def paginate(self, **_: str) -> Iterator[dict[str, Any]]:
        yield {}

    def get_waiter(self, state: str) -> "Account":
        return self

    def wait(self, **_: Any) -> None:
        """Everything is done at once."""


class _Exceptions:
    QueueDoesNotExist = QueueDoesNotExistError


@pytest.fixture
def account() -> Account:
    return Account(exceptions=_Exceptions())


def remove_data(account: Account) -> None:
    aws: Any = account
    delete_storage(STAGE, find_bucket(aws, STAGE, "111122223333", "eu-west-1"), aws, aws, aws)


def test_all_that_holds_data_goes(account: Account) -> None:
    remove_data(account)
    assert (account.buckets, account.queues, account.stacks) == (set(), set(), set())


def test_a_bucket_that_is_written_to_meanwhile_is_deleted_the_second_time(
    account: Account,
) -> None:
    account.written_meanwhile = True
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        remove_data(account)
    assert account.stacks, "the stack that knows of the bucket goes last"
    account.written_meanwhile = False
    remove_data(account)
    assert (account.buckets, account.queues, account.stacks) == (set(), set(), set())


def test_a_bucket_whose_stack_is_gone_is_found_by_its_name(account: Account) -> None:
    account.stacks.clear()
    remove_data(account)
    assert (account.buckets, account.queues) == (set(), set())


def test_queues_whose_bucket_is_gone_are_deleted_too(account: Account) -> None:
    account.buckets.clear()
    remove_data(account)
    assert (account.queues, account.stacks) == (set(), set())


@dataclass
class Jobs:
    """SageMaker as far as jobs are listed and stopped; a search starts a trial until it is stopped.

    ListTrainingJobs and ListHyperParameterTuningJobs filter by NameContains and StatusEquals, a
    page at a time (botocore's model).
    """

    searches: list[str]
    training: list[str]
    ended: frozenset[str] = frozenset()
    stopped: list[str] = field(default_factory=list)
    operation: str = ""

    def get_paginator(self, operation: str) -> "Jobs":
        self.operation = operation
        return self

    def paginate(self, *, NameContains: str, StatusEquals: str) -> Iterator[dict[str, Any]]:
        assert StatusEquals == "InProgress"
        if self.operation == "list_hyper_parameter_tuning_jobs":
            for name in filter(lambda name: NameContains in name, self.searches):
                page = [{"HyperParameterTuningJobName": name}]
                yield {"HyperParameterTuningJobSummaries": page}
            return
        running = [name for name in self.searches if name not in self.stopped]
        trials = [f"{name}-002-late" for name in running]
        for name in filter(lambda name: NameContains in name, [*self.training, *trials]):
            yield {"TrainingJobSummaries": [{"TrainingJobName": name}]}

    def stop_hyper_parameter_tuning_job(self, *, HyperParameterTuningJobName: str) -> None:
        self._stop(HyperParameterTuningJobName)

    def stop_training_job(self, *, TrainingJobName: str) -> None:
        self._stop(TrainingJobName)

    def _stop(self, name: str) -> None:
        if name in self.ended:
            raise error("StopTrainingJob", 400, "ValidationException")
        self.stopped.append(name)


def test_searches_are_stopped_before_the_trials_that_they_would_replace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours = ["sortbox-dev-dogs-1", "sortbox-dev-tune-001-abc"]
    others = ["sortbox-prod-dogs-1", "my-sortbox-dev-copy"]
    jobs = Jobs(["sortbox-dev-tune", "sortbox-prod-tune"], [*others, *ours])
    sagemaker: Any = jobs
    stop_training(STAGE, sagemaker)
    assert jobs.stopped == ["sortbox-dev-tune", *ours]
    assert "tuning job sortbox-dev-tune: stopping" in capsys.readouterr().out


def test_a_job_that_ends_meanwhile_stops_no_removal(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = Jobs([], ["sortbox-dev-a", "sortbox-dev-b"], ended=frozenset({"sortbox-dev-a"}))
    sagemaker: Any = jobs
    stop_training(STAGE, sagemaker)
    assert jobs.stopped == ["sortbox-dev-b"]
    assert "training job sortbox-dev-a: has ended" in capsys.readouterr().out
