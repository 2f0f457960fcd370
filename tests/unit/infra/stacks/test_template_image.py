"""The stack of the container's image: what it keeps, and what the build may."""

import json
from typing import Any

from infra.stacks.image import TEMPLATE
from tests.support.builders.packaged import of_type, plain

STACK = plain(TEMPLATE)
BUCKET = "arn:${AWS::Partition}:s3:::sortbox-*-${AWS::AccountId}-${AWS::Region}"


def test_no_image_that_a_model_can_name_expires() -> None:
    """The active model and what a rollback goes back to name images by digest; builds tag each."""
    (repository,) = of_type(STACK, "AWS::ECR::Repository").values()
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    policy = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])
    for rule in policy["rules"]:
        assert rule["selection"]["tagStatus"] == "untagged"


def test_the_build_finds_and_reads_its_sources_and_nothing_else_in_a_bucket() -> None:
    (role,) = of_type(STACK, "AWS::IAM::Role").values()
    (policy,) = role["Policies"]
    granted = {
        action: _of(statement["Resource"])
        for statement in policy["PolicyDocument"]["Statement"]
        for action in statement["Action"]
        if action.startswith("s3:")
    }
    sources = f"{BUCKET}/deploy/image/*"
    assert granted == {
        "s3:GetObject": sources,
        "s3:GetObjectVersion": sources,
        "s3:GetBucketLocation": BUCKET,
        "s3:ListBucket": BUCKET,
    }


def _of(resource: Any) -> str:
    arn: str = resource["Fn::Sub"]
    return arn
