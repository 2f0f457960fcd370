"""How long logs are kept that no template holds: SageMaker makes such groups, with no end.

The endpoint's group is the stage's own. Those of jobs are shared by all jobs of the account, so a
retention of theirs is set where the stage makes them, and never changed where they are there.
"""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws.errors import code_of
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

RETENTION_DAYS = 30
"""As serverless.yml and image.yml have it for their groups."""

SHARED = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/TransformJobs")


def endpoint_group(stage: Stage) -> str:
    return f"/aws/sagemaker/Endpoints/{stage.endpoint}"


def bound(logs: "CloudWatchLogsClient", stage: Stage) -> None:
    """A second time changes nothing."""
    _create(logs, endpoint_group(stage))
    _keep(logs, endpoint_group(stage))
    for group in SHARED:
        if _create(logs, group):
            _keep(logs, group)


def _create(logs: "CloudWatchLogsClient", group: str) -> bool:
    """False where it is there already."""
    try:
        logs.create_log_group(logGroupName=group)
    except ClientError as error:
        if code_of(error) != "ResourceAlreadyExistsException":
            raise
        return False
    return True


def _keep(logs: "CloudWatchLogsClient", group: str) -> None:
    logs.put_retention_policy(logGroupName=group, retentionInDays=RETENTION_DAYS)
