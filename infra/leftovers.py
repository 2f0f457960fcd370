"""What remains in the account after a stage is removed: what it costs, and how to delete it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from aws.errors import is_missing
from infra.diagnostics.cost import Prices, load_prices
from infra.stacks import image, log_groups
from infra.stacks.deploy import status_of, wait_for
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_ecr import ECRClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_sagemaker import SageMakerClient

Kind = Literal["images", "logs", "models"]
KINDS: tuple[Kind, ...] = ("images", "logs", "models")

GB = 10**9


@dataclass(frozen=True, slots=True)
class Leftover:
    kind: Kind
    sentence: str
    delete: Callable[[], object] | None
    """None if AWS refused to list the resources."""


@dataclass(frozen=True, slots=True)
class RemovedStage:
    """A stage in an account. `client(service)` returns a client, as `boto3.client` does."""

    stage: Stage
    client: Callable[[str], Any]


def find(account: RemovedStage, kinds: Iterable[Kind] = KINDS) -> Iterator[Leftover]:
    """Container images, logs and model versions that remain; a kind without any yields nothing."""
    prices = load_prices()
    finders: dict[Kind, Callable[[], Iterator[Leftover]]] = {
        "images": lambda: _images(account, prices),
        "logs": lambda: _logs(account, prices),
        "models": lambda: _models(account),
    }
    for kind in kinds:
        try:
            yield from finders[kind]()
        except (BotoCoreError, ClientError) as error:
            yield Leftover(kind, f"AWS refused to say which {kind} there are: {error}", None)


def _images(account: RemovedStage, prices: Prices) -> Iterator[Leftover]:
    """The image repository, which all stages share. Layers shared by images are counted once per
    image.
    """
    ecr: ECRClient = account.client("ecr")
    try:
        pages = ecr.get_paginator("describe_images").paginate(repositoryName=image.REPOSITORY)
        sizes = [item.get("imageSizeInBytes", 0) for page in pages for item in page["imageDetails"]]
    except ClientError as error:
        if not is_missing(error):
            raise
        return
    gigabytes = sum(sizes) / GB
    month = f"{prices.currency} {gigabytes * prices.ecr_gb_month:,.2f} a month"
    sentence = f"{len(sizes)} images in the repository {image.REPOSITORY}, of all stages of the "
    sentence += f"account: at most {gigabytes:,.1f} GB, {month}"
    cloudformation = account.client("cloudformation")
    yield Leftover("images", sentence, partial(_delete_images, ecr, cloudformation))


def _delete_images(ecr: "ECRClient", cloudformation: "CloudFormationClient") -> None:
    ecr.delete_repository(repositoryName=image.REPOSITORY, force=True)
    if status_of(cloudformation, image.STACK) is not None:
        cloudformation.delete_stack(StackName=image.STACK)
        wait_for(cloudformation, "stack_delete_complete", image.STACK)


def _logs(account: RemovedStage, prices: Prices) -> Iterator[Leftover]:
    """The endpoint's log group, and the stage's streams in the log groups that all jobs share."""
    logs: CloudWatchLogsClient = account.client("logs")
    of_endpoints = [
        group for name in log_groups.endpoint_groups(account.stage) for group in _groups(logs, name)
    ]
    for group in of_endpoints:
        endpoint = group["logGroupName"]
        gigabytes = group.get("storedBytes", 0) / GB
        month = f"{prices.currency} {gigabytes * prices.logs_gb_month:,.2f} a month"
        sentence = f"the log group {endpoint}: {gigabytes:,.2f} GB, {month}, {_kept(group)}"
        yield Leftover("logs", sentence, partial(logs.delete_log_group, logGroupName=endpoint))
    for shared in log_groups.SHARED:
        for group in _groups(logs, shared):
            streams = _streams(logs, shared, account.stage.prefix)
            if streams:
                sentence = f"{len(streams)} log streams of the stage in {shared}, {_kept(group)}"
                delete = partial(_delete_streams, logs, shared, streams)
                yield Leftover("logs", sentence, delete)


def _kept(group: Any) -> str:
    days = group.get("retentionInDays")
    if days is not None:
        return f"kept for {days} days"
    name, days = group["logGroupName"], log_groups.RETENTION_DAYS
    return (
        "kept forever: `aws logs put-retention-policy --log-group-name "
        f"{name} --retention-in-days {days}` bounds that"
    )


def _groups(logs: "CloudWatchLogsClient", name: str) -> list[Any]:
    """The log group with exactly this name, as a list of at most one."""
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return [group for group in groups if group["logGroupName"] == name]


def _streams(logs: "CloudWatchLogsClient", group: str, prefix: str) -> list[str]:
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=group, logStreamNamePrefix=prefix
    )
    return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]


def _delete_streams(logs: "CloudWatchLogsClient", group: str, streams: list[str]) -> None:
    for stream in streams:
        logs.delete_log_stream(logGroupName=group, logStreamName=stream)


def _models(account: RemovedStage) -> Iterator[Leftover]:
    sagemaker: SageMakerClient = account.client("sagemaker")
    pages = sagemaker.get_paginator("list_model_package_groups").paginate(
        NameContains=account.stage.prefix
    )
    names = [
        group["ModelPackageGroupName"]
        for page in pages
        for group in page["ModelPackageGroupSummaryList"]
    ]
    for name in names:
        if name.startswith(account.stage.prefix):
            sentence = f"the model package group {name}, which costs nothing"
            yield Leftover("models", sentence, partial(_delete_group, sagemaker, name))


def _delete_group(sagemaker: "SageMakerClient", group: str) -> None:
    """Delete the versions before their group: SageMaker does not delete a group that has
    versions.
    """
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    versions = [item for page in pages for item in page["ModelPackageSummaryList"]]
    for arn in [item["ModelPackageArn"] for item in versions]:
        sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
