"""The smallest IAM policies for a person who uses the console on a stage of AWS.

`SHOWS` is what its pages read, `TAKES` what drops and corrections write beside that, and `STARTS`
what the commands call that a button runs as the person. Deploying and removing a stage is none of
these: that takes the policy of infra/verify/permissions.py.
"""

from collections.abc import Iterable
from typing import Any

from domain.keys import CORRECTIONS, INBOX, MODELS, TRAINING, WORK
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

STARTS = frozenset(
    {
        *("cloudformation:DescribeStacks", "cloudwatch:DescribeAlarms"),
        *("iam:GetRole", "lambda:GetAccountSettings", "lambda:GetFunctionConfiguration"),
        "lambda:ListEventSourceMappings",
        *("s3:HeadBucket", "s3:PutObject", "s3:CopyObject", "s3:DeleteObject"),
        *("s3:CreateMultipartUpload", "s3:UploadPart", "s3:UploadPartCopy"),
        *("s3:CompleteMultipartUpload", "s3:AbortMultipartUpload"),
        *("sagemaker:CreateTrainingJob", "sagemaker:StopTrainingJob"),
        *("sagemaker:CreateHyperParameterTuningJob", "sagemaker:StopHyperParameterTuningJob"),
        *("sagemaker:CreateModel", "sagemaker:DescribeModel"),
        *("sagemaker:CreateEndpointConfig", "sagemaker:DescribeEndpointConfig"),
        *("sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:DeleteEndpoint"),
        *("sagemaker:CreateModelPackageGroup", "sagemaker:CreateModelPackage"),
        "sagemaker:UpdateModelPackage",
        *("service-quotas:ListServiceQuotas", "service-quotas:ListAWSDefaultServiceQuotas"),
        *("sqs:ReceiveMessage", "sqs:SendMessage"),
        *("sqs:SendMessageBatch", "sqs:DeleteMessageBatch"),
    }
)
"""The operations of the buttons, beside `SHOWS`: train, tune, stop, preview, promote, roll back,
reclassify, put dead letters back, and the checks of `doctor`."""

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
    document["Statement"].append(_allow(_actions(TAKES), _below(INBOX, CORRECTIONS)))
    return document


def operator() -> dict[str, Any]:
    """As `full`, for a person who may use every button."""
    document = full()
    needed = _actions(STARTS) - _actions(SHOWS)
    anywhere = {action for action in needed if is_anywhere(action)}
    objects = {action for action in needed if action.startswith("s3:")}
    document["Statement"] += [
        *(
            _allow(own, ours)
            for service, ours in OURS.items()
            if (
                own := {one for one in needed - anywhere - objects if one.startswith(f"{service}:")}
            )
        ),
        _allow(objects, _below(TRAINING, MODELS, WORK)),
        _allow(anywhere, ("*",)),
    ]
    return document


def _below(*prefixes: str) -> tuple[str, ...]:
    return tuple(f"{OURS['s3'][0]}/{prefix}*" for prefix in prefixes)


def _actions(operations: Iterable[str]) -> frozenset[str]:
    return frozenset(action for one in operations for action in actions_of(one))


def _allow(actions: Iterable[str], resources: Iterable[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": sorted(actions), "Resource": [*resources]}
