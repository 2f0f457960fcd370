"""Set the retention of log groups that no template creates: SageMaker creates them without one.

The endpoint's log group belongs to the stage. The groups of jobs are shared by all jobs of the
account, so their retention is set only if the stage creates them; existing groups are not changed.
"""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws.errors import code_of
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

RETENTION_DAYS = 30
"""The same retention as in serverless.yml and image.yml."""

SHARED = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/TransformJobs")


def endpoint_groups(stage: Stage) -> list[str]:
    """Of the endpoints of all modes; an empty group costs nothing."""
    return [f"/aws/sagemaker/Endpoints/{name}" for name in stage.endpoint_names.values()]


def bound(logs: "CloudWatchLogsClient", stage: Stage) -> None:
    """Create the log groups and set their retention; idempotent."""
    for group in endpoint_groups(stage):
        _create(logs, group)
        _keep(logs, group)
    for group in SHARED:
        if _create(logs, group):
            _keep(logs, group)


def _create(logs: "CloudWatchLogsClient", group: str) -> bool:
    """Create a log group; returns False if it already exists."""
    try:
        logs.create_log_group(logGroupName=group)
    except ClientError as error:
        if code_of(error) != "ResourceAlreadyExistsException":
            raise
        return False
    return True


def _keep(logs: "CloudWatchLogsClient", group: str) -> None:
    logs.put_retention_policy(logGroupName=group, retentionInDays=RETENTION_DAYS)
