"""The smallest IAM policies for a person who uses the console on a stage of AWS.

`SHOWS` is what its pages read, and `TAKES` what drops and corrections write beside that. A button
runs a command as the person, who needs the policy of commands for it (infra/verify/permissions.py).
"""

from collections.abc import Iterable
from typing import Any

from domain.keys import CORRECTIONS, INBOX
from infra.verify.permissions import OURS, actions_of, is_anywhere

SHOWS = frozenset(
    {
        "cloudformation:DescribeStacks",
        "cloudwatch:DescribeAlarms",
        *("logs:DescribeLogStreams", "logs:GetLogEvents"),
        *("s3:GetObject", "s3:HeadObject", "s3:ListObjectsV2", "s3:ListObjectVersions"),
        *("sagemaker:DescribeEndpoint", "sagemaker:DescribeModelPackage"),
        *("sagemaker:DescribeTrainingJob", "sagemaker:DescribeHyperParameterTuningJob"),
        *("sagemaker:ListTrainingJobs", "sagemaker:ListHyperParameterTuningJobs"),
        "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
        *("sagemaker:ListModelPackageGroups", "sagemaker:ListModelPackages"),
        "sagemaker:ListTransformJobs",
        "sagemaker-runtime:InvokeEndpoint",
        *("sqs:GetQueueUrl", "sqs:GetQueueAttributes"),
        "sts:GetCallerIdentity",
    }
)
"""The operations of a console that is read-only, with botocore's names."""

TAKES = frozenset(
    {
        *("s3:PutObject", "s3:CreateMultipartUpload", "s3:UploadPart"),
        *("s3:CompleteMultipartUpload", "s3:ListParts"),
    }
)
"""The operations of drops and corrections, beside `SHOWS`."""

PLACES = {**OURS, "logs": tuple(arn for arn in OURS["logs"] if "/aws/sagemaker/" in arn)}
"""What of Sortbox the console reaches: of all logs, those of training jobs."""


def read_only() -> dict[str, Any]:
    """The policy document of a console that is started with `--read-only`."""
    needed = _actions(SHOWS)
    anywhere = {action for action in needed if is_anywhere(action)}
    statements = [
        _allow((action for action in needed - anywhere if action.startswith(f"{service}:")), ours)
        for service, ours in PLACES.items()
        if any(action.startswith(f"{service}:") for action in needed - anywhere)
    ]
    return {"Version": "2012-10-17", "Statement": [*statements, _allow(anywhere, ("*",))]}


def full() -> dict[str, Any]:
    """As `read_only`, with what drops and corrections write, where they write it."""
    document = read_only()
    places = tuple(f"{OURS['s3'][0]}/{prefix}*" for prefix in (INBOX, CORRECTIONS))
    document["Statement"].append(_allow(_actions(TAKES), places))
    return document


def _actions(operations: Iterable[str]) -> frozenset[str]:
    return frozenset(action for one in operations for action in actions_of(one))


def _allow(actions: Iterable[str], resources: Iterable[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": sorted(actions), "Resource": [*resources]}
