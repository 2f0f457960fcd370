"""The smallest IAM policy for the user who deploys, trains, promotes and verifies.

It is derived from the operations that an acceptance run called (calls.json), from the types of the
resources in the templates, which CloudFormation creates with the user's permissions, and from what
osls and the build of the image call. IAM names an action after its operation; S3 and a few others
differ (docs.aws.amazon.com/service-authorization/latest/reference).
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CALLS = Path(__file__).with_name("calls.json")

PREFIXES = {"service-quotas": "servicequotas", "sagemaker-runtime": "sagemaker"}
"""The IAM prefix of a service that botocore names differently."""

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "sts:GetCallerIdentity": (),  # "No permissions are required"
    "s3:HeadObject": ("s3:GetObject",),
    "s3:GetObject": ("s3:GetObject", "s3:GetObjectVersion"),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:UploadPart": ("s3:PutObject",),
    "s3:ListParts": ("s3:ListMultipartUploadParts",),
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
    "sagemaker:CreateModel": ("sagemaker:CreateModel", "sagemaker:AddTags", "iam:PassRole"),
    "sagemaker:CreateTrainingJob": (
        *("sagemaker:CreateTrainingJob", "sagemaker:AddTags", "iam:PassRole"),
    ),
    "sagemaker:CreateHyperParameterTuningJob": (
        *("sagemaker:CreateHyperParameterTuningJob", "sagemaker:AddTags", "iam:PassRole"),
    ),
    "s3:CopyObject": ("s3:GetObject", "s3:PutObject"),
    "s3:UploadPartCopy": ("s3:GetObject", "s3:PutObject"),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
}
"""The actions of operations that need others than the action of the same name."""

OSLS = (
    *("cloudformation:CreateChangeSet", "cloudformation:DescribeChangeSet"),
    *("cloudformation:ExecuteChangeSet", "cloudformation:DeleteChangeSet"),
    *("cloudformation:DescribeStackEvents", "cloudformation:DescribeStacks"),
    *("cloudformation:ListStackResources", "cloudformation:ValidateTemplate"),
    *("s3:ListBucket", "s3:PutObject", "lambda:GetFunction"),
)
"""What osls, which runs in Node, calls to deploy the functions: as recorded at the local cloud, and
the deletion of a change set without changes (osls/lib/plugins/aws/lib/update-stack.js)."""

SOMETIMES = (
    *("cloudformation:UpdateStack", "s3:AbortMultipartUpload"),
    *("sagemaker:StopTrainingJob", "sagemaker:StopTransformJob"),
    *("sagemaker:StopHyperParameterTuningJob", "sagemaker:CreateHyperParameterTuningJob"),
    "sagemaker:DescribeHyperParameterTuningJob",
    "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
    *("servicequotas:ListAWSDefaultServiceQuotas", "pricing:GetProducts"),
    *("sqs:ReceiveMessage", "sqs:DeleteMessage"),
)
"""Operations that a successful run does not call: updating a deployment, aborting an upload,
tuning, stopping jobs, reading a quota without an applied value, comparing the price table, and
putting dead letters back."""

IMAGE = (
    *("codebuild:StartBuild", "codebuild:BatchGetBuilds"),
    *("ecr:DescribeImages", "ecr:DescribeRepositories"),
)
"""What infra/stacks/image.py calls; the local cloud does not need it."""

RESOURCES: Mapping[str, tuple[str, ...]] = {
    "AWS::Budgets::Budget": (
        *("budgets:ModifyBudget", "budgets:ViewBudget", "budgets:TagResource"),
        *("budgets:UntagResource", "budgets:ListTagsForResource"),
    ),
    "AWS::CloudWatch::Alarm": (
        *("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms"),
        *("cloudwatch:ListTagsForResource", "cloudwatch:TagResource"),
    ),
    "AWS::CloudWatch::Dashboard": (
        *("cloudwatch:PutDashboard", "cloudwatch:GetDashboard", "cloudwatch:DeleteDashboards"),
        *("cloudwatch:ListTagsForResource", "cloudwatch:TagResource"),
    ),
    "AWS::CodeBuild::Project": (
        *("codebuild:CreateProject", "codebuild:UpdateProject", "codebuild:DeleteProject"),
        *("codebuild:BatchGetProjects", "iam:PassRole"),
    ),
    "AWS::ECR::Repository": (
        *("ecr:CreateRepository", "ecr:DescribeRepositories", "ecr:TagResource"),
        *("ecr:ListTagsForResource", "ecr:PutLifecyclePolicy", "ecr:PutImageScanningConfiguration"),
    ),
    "AWS::Events::Rule": (
        *("events:PutRule", "events:DescribeRule", "events:DeleteRule", "events:PutTargets"),
        *("events:RemoveTargets", "events:ListTargetsByRule", "events:TagResource"),
    ),
    "AWS::IAM::Policy": ("iam:PutRolePolicy", "iam:GetRolePolicy", "iam:DeleteRolePolicy"),
    "AWS::IAM::Role": (
        *("iam:CreateRole", "iam:GetRole", "iam:DeleteRole", "iam:TagRole"),
        *("iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:GetRolePolicy"),
        *("iam:DeleteRolePolicy", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies"),
    ),
    "AWS::Lambda::EventSourceMapping": (
        *("lambda:CreateEventSourceMapping", "lambda:GetEventSourceMapping"),
        *("lambda:UpdateEventSourceMapping", "lambda:DeleteEventSourceMapping"),
        *("lambda:TagResource",),
    ),
    "AWS::Lambda::Function": (
        *("lambda:CreateFunction", "lambda:GetFunction", "lambda:UpdateFunctionCode"),
        *("lambda:UpdateFunctionConfiguration", "lambda:DeleteFunction", "lambda:TagResource"),
        *("lambda:ListTags", "lambda:GetFunctionConfiguration", "iam:PassRole", "s3:GetObject"),
    ),
    "AWS::Lambda::Permission": (
        *("lambda:AddPermission", "lambda:RemovePermission", "lambda:GetPolicy"),
    ),
    "AWS::Logs::LogGroup": (
        *("logs:CreateLogGroup", "logs:DescribeLogGroups", "logs:DeleteLogGroup"),
        *("logs:PutRetentionPolicy", "logs:TagResource", "logs:ListTagsForResource"),
    ),
    "AWS::S3::Bucket": (
        *("s3:CreateBucket", "s3:PutBucketVersioning", "s3:PutEncryptionConfiguration"),
        *("s3:PutBucketPublicAccessBlock", "s3:PutBucketOwnershipControls"),
        *("s3:PutBucketNotification", "s3:PutLifecycleConfiguration", "s3:PutBucketTagging"),
        *("s3:ListBucket", "s3:DeleteBucket"),
    ),
    "AWS::S3::BucketPolicy": (
        *("s3:PutBucketPolicy", "s3:GetBucketPolicy", "s3:DeleteBucketPolicy"),
    ),
    "AWS::SNS::Subscription": (
        *("sns:Subscribe", "sns:Unsubscribe", "sns:ListSubscriptionsByTopic"),
        *("sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"),
    ),
    "AWS::SNS::Topic": (
        *("sns:CreateTopic", "sns:GetTopicAttributes", "sns:SetTopicAttributes"),
        *("sns:DeleteTopic", "sns:TagResource", "sns:ListTagsForResource"),
    ),
    "AWS::SNS::TopicPolicy": ("sns:SetTopicAttributes", "sns:GetTopicAttributes"),
    "AWS::SQS::Queue": (
        *("sqs:CreateQueue", "sqs:GetQueueAttributes", "sqs:SetQueueAttributes"),
        *("sqs:GetQueueUrl", "sqs:DeleteQueue", "sqs:TagQueue", "sqs:ListQueueTags"),
    ),
    "AWS::SQS::QueuePolicy": ("sqs:SetQueueAttributes", "sqs:GetQueueAttributes"),
    "AWS::Scheduler::Schedule": (
        *("scheduler:CreateSchedule", "scheduler:GetSchedule", "scheduler:UpdateSchedule"),
        *("scheduler:DeleteSchedule", "iam:PassRole"),
    ),
}
"""What CloudFormation calls on the user's behalf to create, update, read and delete a resource."""

EVERYWHERE = frozenset(
    {
        *("cloudformation:ValidateTemplate", "cloudformation:ListStacks"),
        "lambda:GetAccountSettings",
        *("lambda:CreateEventSourceMapping", "lambda:ListEventSourceMappings"),
        *("lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"),
        *("lambda:DeleteEventSourceMapping", "logs:DescribeLogGroups"),
        *("cloudwatch:DescribeAlarms", "sagemaker:Search", "pricing:GetProducts"),
        *("sns:Unsubscribe", "sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"),
    }
)
"""Actions that cannot be restricted to ARNs of Sortbox. All of Service Quotas and SageMaker's list
operations are too."""

OURS: Mapping[str, tuple[str, ...]] = {
    "budgets": ("arn:aws:budgets::*:budget/sortbox-*",),
    "cloudformation": ("arn:aws:cloudformation:*:*:stack/sortbox-*",),
    "cloudwatch": (
        "arn:aws:cloudwatch:*:*:alarm:sortbox-*",
        "arn:aws:cloudwatch::*:dashboard/sortbox-*",
    ),
    "codebuild": ("arn:aws:codebuild:*:*:project/sortbox-*",),
    "ecr": ("arn:aws:ecr:*:*:repository/sortbox",),
    "events": ("arn:aws:events:*:*:rule/sortbox-*",),
    "iam": ("arn:aws:iam::*:role/sortbox-*",),
    "lambda": (
        "arn:aws:lambda:*:*:function:sortbox-*",
        "arn:aws:lambda:*:*:event-source-mapping:*",
    ),
    "logs": (
        "arn:aws:logs:*:*:log-group:/aws/lambda/sortbox-*",
        "arn:aws:logs:*:*:log-group:/aws/codebuild/sortbox-*",
        "arn:aws:logs:*:*:log-group:/aws/sagemaker/*",
    ),
    "s3": ("arn:aws:s3:::sortbox-*",),
    "sagemaker": ("arn:aws:sagemaker:*:*:*/sortbox-*",),
    "scheduler": ("arn:aws:scheduler:*:*:schedule/default/sortbox-*",),
    "sns": ("arn:aws:sns:*:*:sortbox-*",),
    "sqs": ("arn:aws:sqs:*:*:sortbox-*",),
}
"""ARN patterns of Sortbox's resources, by service."""

MOST_CHARACTERS = 6144
"""The limit of a managed policy, not counting white space (IAM quotas)."""


def recorded() -> tuple[str, ...]:
    """The operations that an acceptance run called, with botocore's names."""
    return tuple(json.loads(CALLS.read_text()))


def actions_of(operation: str) -> tuple[str, ...]:
    """`service-quotas:ListServiceQuotas` -> `servicequotas:ListServiceQuotas`."""
    if operation in ACTIONS:
        return ACTIONS[operation]
    service, _, name = operation.partition(":")
    return (f"{PREFIXES.get(service, service)}:{name}",)


def actions() -> frozenset[str]:
    """All actions that the user needs."""
    called = [action for operation in recorded() for action in actions_of(operation)]
    made = [action for needed in RESOURCES.values() for action in needed]
    return frozenset([*called, *made, *OSLS, *SOMETIMES, *IMAGE])


def policy() -> dict[str, Any]:
    """The policy document: one statement per service, then one for actions that cannot be
    restricted.
    """
    needed = actions()
    anywhere = {action for action in needed if is_anywhere(action)}
    statements = [
        _statement(service, needed - anywhere, ours)
        for service, ours in OURS.items()
        if any(action.startswith(f"{service}:") for action in needed - anywhere)
    ]
    everything = {"Effect": "Allow", "Action": sorted(anywhere), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [*statements, everything]}


def is_anywhere(action: str) -> bool:
    """Whether it cannot be restricted to ARNs of Sortbox."""
    service, _, name = action.partition(":")
    is_list = service == "sagemaker" and name.startswith("List")
    return action in EVERYWHERE or service == "servicequotas" or is_list


def _statement(service: str, needed: Iterable[str], ours: tuple[str, ...]) -> dict[str, Any]:
    own = sorted(action for action in needed if action.startswith(f"{service}:"))
    return {"Effect": "Allow", "Action": own, "Resource": list(ours)}
