"""A stage under the customer's own key: everything that holds data, and nobody without need."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra import shipped
from tests.support.builders.packaged import (
    KEY,
    Template,
    of_type,
    packaged,
    plain,
    resolved,
    storage,
)

INFRA = shipped.REPOSITORY / "infra" / "stacks"
REGION = (
    {"Fn::Sub": "s3.${AWS::Region}.amazonaws.com"},
    {"Fn::Sub": "sqs.${AWS::Region}.amazonaws.com"},
)
S3, SQS = REGION


def queues(key: str) -> Iterator[tuple[str, Template]]:
    for template in (packaged("dev", key), storage(key)):
        yield from of_type(template, "AWS::SQS::Queue").items()


def key_policies() -> dict[str, Template]:
    return of_type(packaged("dev", KEY), "AWS::IAM::Policy")


def test_without_a_key_nothing_knows_of_one() -> None:
    for template in (packaged("dev"), storage()):
        text = json.dumps(template["Resources"])
        assert "kms:" not in text
        assert "KmsMasterKeyId" not in text
        assert "KMSMasterKeyID" not in text
        assert "KmsKeyId" not in text
        assert not of_type(template, "AWS::IAM::Policy")


def test_the_bucket_is_under_the_key_and_asks_for_it_seldom() -> None:
    (bucket,) = of_type(storage(KEY), "AWS::S3::Bucket").values()
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": KEY,
    }
    assert rule["BucketKeyEnabled"] is True, "else a call to KMS, and its price, for every object"


def test_every_queue_is_under_the_key_and_says_no_other_encryption() -> None:
    found = dict(queues(KEY))
    assert len(found) == 9
    for name, queue in found.items():
        assert queue["KmsMasterKeyId"] == KEY, name
        assert "SqsManagedSseEnabled" not in queue, f"{name}: SQS takes one of the two"


def test_every_functions_log_is_under_the_key() -> None:
    groups = of_type(packaged("dev", KEY), "AWS::Logs::LogGroup")
    functions = of_type(packaged("dev", KEY), "AWS::Lambda::Function")
    assert len(groups) == len(functions)
    assert {group.get("KmsKeyId") for group in groups.values()} == {KEY}


def test_the_folders_function_is_told_the_key_for_its_jobs() -> None:
    for key in (KEY, "none"):
        functions = of_type(packaged("dev", key), "AWS::Lambda::Function")
        told = {
            name: function["Environment"]["Variables"].get("KMS_KEY")
            for name, function in functions.items()
        }
        assert {name: said for name, said in told.items() if said} == {
            "OnFolderLambdaFunction": key
        }


def test_every_role_may_use_this_key_and_no_other() -> None:
    roles = set(of_type(packaged("dev", KEY), "AWS::IAM::Role"))
    given = [role["Ref"] for policy in key_policies().values() for role in policy["Roles"]]
    assert sorted(given) == sorted(roles), "each once"
    for policy in key_policies().values():
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Resource"] == KEY
            assert statement["Effect"] == "Allow"


@pytest.mark.parametrize(
    ("policy", "actions", "condition"),
    [
        (
            "FunctionsKeyPolicy",
            {"Decrypt", "GenerateDataKey"},
            {"StringEquals": {"kms:ViaService": [S3, SQS]}},
        ),
        (
            "SendersKeyPolicy",
            {"Decrypt", "GenerateDataKey"},
            {"StringEquals": {"kms:ViaService": SQS}},
        ),
        (
            "ContainersKeyPolicy",
            {"Decrypt", "Encrypt", "GenerateDataKey", "DescribeKey", "CreateGrant"},
            None,
        ),
    ],
)
def test_a_role_may_do_with_the_key_what_its_services_ask_for(
    policy: str, actions: set[str], condition: dict[str, Any] | None
) -> None:
    found = key_policies()[policy]["PolicyDocument"]["Statement"]
    allowed: set[str] = set()
    for statement in found:
        said = statement["Action"]
        allowed |= set(said if isinstance(said, list) else [said])
    assert allowed == {f"kms:{action}" for action in actions}
    if condition is not None:
        assert [statement["Condition"] for statement in found] == [condition]


def test_a_grant_on_the_key_can_be_made_for_an_aws_service_only() -> None:
    found = key_policies()["ContainersKeyPolicy"]["PolicyDocument"]["Statement"]
    (grants,) = [each for each in found if each["Action"] == "kms:CreateGrant"]
    assert grants["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}, (
        "a role that may grant to anybody could hand the key on"
    )


def test_the_keys_own_policy_lets_in_whoever_sends_and_logs_and_the_account() -> None:
    """docs.aws.amazon.com: SQS key management; CloudWatch Logs, encrypt-log-data-kms."""
    (key,) = of_type(resolved(plain(INFRA / "key.yml"), {}), "AWS::KMS::Key").values()
    assert key["EnableKeyRotation"] is True
    account, senders, logs = key["KeyPolicy"]["Statement"]
    assert account["Principal"] == {
        "AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
    }
    assert set(senders["Principal"]["Service"]) == {"s3.amazonaws.com", "events.amazonaws.com"}
    assert set(senders["Action"]) == {"kms:GenerateDataKey", "kms:Decrypt"}
    assert senders["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    }, "no other account's bucket may use the key through S3"
    assert logs["Principal"] == {"Service": {"Fn::Sub": "logs.${AWS::Region}.amazonaws.com"}}
    of_logs = logs["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    assert "log-group:/aws/lambda/sortbox-${Stage}-*" in of_logs[0]["Fn::Sub"]


def test_the_topic_of_notices_is_under_no_key_that_eventbridge_could_not_use() -> None:
    """docs.aws.amazon.com, SNS, "Key management": aws:SourceAccount in a key's policy "is not
    supported for EventBridge-to-encrypted topics", and infra/stacks/key.yml asks for it."""
    topics = of_type(packaged("dev", KEY), "AWS::SNS::Topic")
    assert "KmsMasterKeyId" not in topics["NoticeTopic"]
    assert "aws:SourceAccount" in (INFRA / "key.yml").read_text()


def test_the_images_repository_and_build_are_under_the_key_where_there_is_one() -> None:
    keys = {"SourcesKey": KEY, "RepositoryKey": KEY}
    under = resolved(plain(INFRA / "image.yml"), keys)
    (repository,) = of_type(under, "AWS::ECR::Repository").values()
    assert repository["EncryptionConfiguration"] == {"EncryptionType": "KMS", "KmsKey": KEY}
    (group,) = of_type(under, "AWS::Logs::LogGroup").values()
    assert group["KmsKeyId"] == KEY
    (policy,) = of_type(under, "AWS::IAM::Policy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("kms:Decrypt", KEY)
    assert statement["Condition"] == {"StringEquals": {"kms:ViaService": S3}}
    without = resolved(plain(INFRA / "image.yml"), dict.fromkeys(keys, "none"))
    (repository,) = of_type(without, "AWS::ECR::Repository").values()
    assert repository["EncryptionConfiguration"] == {"EncryptionType": "AES256"}
    assert not of_type(without, "AWS::IAM::Policy")
