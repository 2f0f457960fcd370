"""Remove a stage, starting with what is billed by the hour. Data is kept unless requested
otherwise.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError, WaiterError

from aws import errors
from aws.errors import is_missing
from domain.errors import SortboxError
from domain.foreign import visible
from infra import interrupt
from infra.stacks.deploy import check_credentials, status_of, wait_for
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import ObjectIdentifierTypeDef
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sqs import SQSClient


class RemoveError(SortboxError):
    """The removal failed; the message is for the user."""


def remove(stage: Stage) -> None:
    """Remove everything but the data; idempotent.

    What is billed by the hour goes first: training, then the endpoint. The functions are removed
    before the transform jobs are stopped, because they start such jobs.
    """
    for _, act in PARTS:
        act(stage)


def _delete_endpoint(stage: Stage, sagemaker: "SageMakerClient") -> None:
    for name in stage.endpoint_names.values():
        try:
            sagemaker.delete_endpoint(EndpointName=name)
            waiter = sagemaker.get_waiter("endpoint_deleted")
            waiter.wait(EndpointName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 450})
            _say(f"endpoint {name}: deleted")
        except WaiterError as error:
            raise RemoveError(f"endpoint {name} is still there: {error}") from error
        except ClientError as error:
            if not is_missing(error):
                raise RemoveError(f"endpoint {name}: {error}") from error
            _say(f"endpoint {name}: there is none")
    for config in _endpoint_configs(stage, sagemaker):
        sagemaker.delete_endpoint_config(EndpointConfigName=config)
        _say(f"endpoint configuration {config}: deleted")
    for model in _models(stage, sagemaker):
        sagemaker.delete_model(ModelName=model)
        _say(f"model {model}: deleted")


def _endpoint_configs(stage: Stage, sagemaker: "SageMakerClient") -> list[str]:
    """All names are listed before the first is deleted, because deletions shift the pages."""
    pages = sagemaker.get_paginator("list_endpoint_configs").paginate(NameContains=stage.prefix)
    names = [config["EndpointConfigName"] for page in pages for config in page["EndpointConfigs"]]
    return _ours(stage, names)


def _models(stage: Stage, sagemaker: "SageMakerClient") -> list[str]:
    pages = sagemaker.get_paginator("list_models").paginate(NameContains=stage.prefix)
    names = [model["ModelName"] for page in pages for model in page["Models"]]
    return _ours(stage, names)


def stop_training(stage: Stage, sagemaker: "SageMakerClient") -> None:
    """Stop tuning jobs first, so that they start no further training jobs, then the
    training jobs.
    """
    searches = sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(
        NameContains=stage.prefix, StatusEquals="InProgress"
    )
    names = [
        job["HyperParameterTuningJobName"]
        for page in searches
        for job in page["HyperParameterTuningJobSummaries"]
    ]
    for name in _ours(stage, names):
        stop = partial(sagemaker.stop_hyper_parameter_tuning_job, HyperParameterTuningJobName=name)
        _stop(stop, f"tuning job {name}")
    jobs = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=stage.prefix, StatusEquals="InProgress"
    )
    names = [job["TrainingJobName"] for page in jobs for job in page["TrainingJobSummaries"]]
    for name in _ours(stage, names):
        _stop(partial(sagemaker.stop_training_job, TrainingJobName=name), f"training job {name}")


def _stop_transform_jobs(stage: Stage, sagemaker: "SageMakerClient") -> None:
    pages = sagemaker.get_paginator("list_transform_jobs").paginate(
        NameContains=stage.prefix, StatusEquals="InProgress"
    )
    names = [job["TransformJobName"] for page in pages for job in page["TransformJobSummaries"]]
    for name in _ours(stage, names):
        _stop(partial(sagemaker.stop_transform_job, TransformJobName=name), f"transform job {name}")


def _ours(stage: Stage, names: list[str]) -> list[str]:
    """The names with the stage's prefix; NameContains matches anywhere in a name."""
    return [name for name in names if name.startswith(stage.prefix)]


def _stop(stop: Callable[[], object], what: str) -> None:
    """Stop a job. The error for a job that has already ended is ignored."""
    try:
        stop()
    except ClientError as error:
        if not is_missing(error) and errors.code_of(error) != "ValidationException":
            raise
        _say(f"{what}: has ended")
    else:
        _say(f"{what}: stopping")


def _delete_stack(cloudformation: "CloudFormationClient", name: str) -> None:
    if status_of(cloudformation, name) is None:
        _say(f"stack {name}: there is none")
        return
    cloudformation.delete_stack(StackName=name)
    wait_for(cloudformation, "stack_delete_complete", name)
    _say(f"stack {name}: deleted")


def delete_storage(
    stage: Stage,
    bucket: str | None,
    s3: "S3Client",
    sqs: "SQSClient",
    cloudformation: "CloudFormationClient",
) -> None:
    """Delete every version of every object, the bucket, the inbox's queues, and then their stack.

    The stack retains what holds data. It is deleted last, so that an interrupted removal can be
    repeated.
    """
    if bucket is not None:
        _empty(s3, bucket)
        s3.delete_bucket(Bucket=bucket)
        _say(f"bucket {bucket}: deleted")
    for queue in ("inbox", "inbox-dead", "backlog", "backlog-dead"):
        _delete_queue(sqs, stage.queue(queue))
    _delete_stack(cloudformation, stage.storage_stack)


def find_bucket(s3: "S3Client", stage: Stage, account: str, region: str) -> str | None:
    """Find the bucket by its name, even if its stack is gone; None if there is no such bucket."""
    bucket = f"sortbox-{stage.name}-{account}-{region}"
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if errors.status_of(error) != 404:
            raise
        return None
    return bucket


def _empty(s3: "S3Client", bucket: str) -> None:
    deleted = 0
    for batch in _versions(s3, bucket):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if refused := answer.get("Errors"):
            raise RemoveError(f"cannot delete {refused[0].get('Key')}: {refused[0].get('Message')}")
        deleted += len(batch)
        _say(f"bucket {bucket}: {deleted:,} versions deleted")


def _versions(s3: "S3Client", bucket: str) -> Iterator[list["ObjectIdentifierTypeDef"]]:
    """Object versions in lists of a thousand, the limit of a page and of a delete request."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if versions:
            yield [
                {"Key": version["Key"], "VersionId": version["VersionId"]} for version in versions
            ]


PARTS: tuple[tuple[str, Callable[[Stage], None]], ...] = (
    ("training", lambda stage: stop_training(stage, boto3.client("sagemaker"))),
    ("endpoint", lambda stage: _delete_endpoint(stage, boto3.client("sagemaker"))),
    ("stack", lambda stage: _delete_stack(boto3.client("cloudformation"), stage.stack)),
    ("transform jobs", lambda stage: _stop_transform_jobs(stage, boto3.client("sagemaker"))),
)
"""The steps of `remove`, in order; each can be repeated, and does not need the earlier ones."""


def _delete_queue(sqs: "SQSClient", name: str) -> None:
    try:
        sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])
    except sqs.exceptions.QueueDoesNotExist:
        return


def _say(sentence: str) -> None:
    print(visible(sentence), flush=True)


def run(stage: Stage, delete_data: bool, confirm: Callable[[str], bool]) -> None:
    """Remove the stage; with `delete_data` also its bucket, if `confirm(bucket)` returns True.

    Raises RemoveError, DeployError.
    """
    region, s3 = check_credentials(), boto3.client("s3")
    account = boto3.client("sts").get_caller_identity()["Account"]
    bucket = find_bucket(s3, stage, account, region)
    if delete_data and bucket and not confirm(bucket):
        raise RemoveError("Not confirmed: nothing was removed.")
    interrupt.leaves("removal", "What is being deleted goes on; the same command removes the rest.")
    remove(stage)
    if bucket is None:
        _say("bucket: there is none")
    elif not delete_data:
        _say(f"bucket {bucket}: kept; uploads wait in its queue for up to 14 days")
    if delete_data:
        sqs, cloudformation = boto3.client("sqs"), boto3.client("cloudformation")
        delete_storage(stage, bucket, s3, sqs, cloudformation)
