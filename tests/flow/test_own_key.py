"""A local stage under a customer's own key, from its making to a folder's tables.

In a cloud of its own, with roles enforced. The emulator keeps what is encrypted by which key and
asks nobody for a permission on it: that a role lacks one, only AWS shows. So the roles' statements
on the key are read here as they were deployed. Its CloudFormation passes over a bucket's
encryption: the template's own rule is set by S3's API.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local import cloud as local
from infra.local.container_image import ImageCommand
from infra.local.place import REPOSITORY, VARIABLE
from infra.stage import Stage
from tests.flow.conftest import STAND_IN, archive
from tests.flow.support.drive import Cloud, label_of, top_label
from tests.support.builders.packaged import of_type, storage

pytestmark = pytest.mark.flow

QUEUES = ("inbox", "backlog", "folder", "page")


@contextmanager
def a_cloud(root: Path) -> Iterator[local.LocalCloud]:
    live = root / "live"
    live.mkdir()
    stand_in = ImageCommand(
        argv=[sys.executable, "-m", "tests.stand_in"],
        cwd=str(REPOSITORY),
        env={"STAND_IN_LIVE": str(live)},
    )
    with local.local_cloud(root / "cloud", {STAND_IN: stand_in}) as running:
        yield running


def sortbox(running: local.LocalCloud, command: str, *arguments: str) -> str:
    """What the command prints. The doctor may find something missing; nothing else may fail."""
    words = [sys.executable, str(REPOSITORY / "cli"), command, "--stage", running.stage, *arguments]
    environment = running.environment | {VARIABLE: str(running.place.root)}
    done = subprocess.run(
        words, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or command == "doctor", done.stdout + done.stderr
    return done.stdout


def made_key(running: local.LocalCloud) -> str:
    """As docs/how-to/own-key.md says."""
    cloudformation = running.client("cloudformation")
    cloudformation.create_stack(
        StackName="key",
        TemplateBody=(REPOSITORY / "infra" / "stacks" / "key.yml").read_text(),
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": running.stage}],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="key", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    [stack] = cloudformation.describe_stacks(StackName="key")["Stacks"]
    [arn] = [each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == "KeyArn"]
    return str(arn)


def encrypt_bucket(running: local.LocalCloud, key: str) -> None:
    (bucket,) = of_type(storage(key), "AWS::S3::Bucket").values()
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    default = {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
    running.client("s3").put_bucket_encryption(
        Bucket=running.bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [default | {"BucketKeyEnabled": rule["BucketKeyEnabled"]}]
        },
    )


def test_a_stage_goes_under_a_key_and_answers_a_single_and_a_folder(tmp_path: Path) -> None:
    with a_cloud(tmp_path) as running:
        key = made_key(running)
        sortbox(running, "deploy", "--kms-key", key)
        assert f"encrypted by {key}" in sortbox(running, "deploy"), "a later one keeps it"
        encrypt_bucket(running, key)
        model = archive(tmp_path / "stand-in.tar.gz", "stand-in")
        command = [
            sys.executable,
            "-m",
            "infra.models.activate",
            running.stage,
            str(model),
            STAND_IN,
        ]
        subprocess.run(command, cwd=REPOSITORY, env=running.environment, check=True)
        cloud = Cloud(
            s3=running.client("s3"),
            sqs=running.client("sqs"),
            sagemaker=running.client("sagemaker"),
            bucket=running.bucket,
            stage=running.stage,
        )
        cloud.drop("inbox/cat.jpg", b"cat")
        assert top_label(cloud.answered("inbox/cat.jpg")) == label_of(b"cat")
        cloud.drop("inbox/trip/a.jpg", b"a")
        cloud.drop("inbox/trip/_READY", b"")
        assert top_label(cloud.answered("inbox/trip/a.jpg")) == label_of(b"a")
        everything_is_under(key, running, cloud)


def everything_is_under(key: str, running: local.LocalCloud, cloud: Cloud) -> None:
    keys = ("inbox/cat.jpg", "outbox/cat.jpg.json", "outbox/trip/a.jpg.json", "models/active.json")
    for name in keys:
        head = cloud.s3.head_object(Bucket=cloud.bucket, Key=name)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key), name
    stage = Stage(running.stage)
    for name in (f"{queue}{dead}" for queue in QUEUES for dead in ("", "-dead")):
        url = cloud.sqs.get_queue_url(QueueName=stage.queue(name))["QueueUrl"]
        found = cloud.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        assert found["Attributes"]["KmsMasterKeyId"] == key, name
    [listed] = cloud.sagemaker.list_transform_jobs()["TransformJobSummaries"]
    job = cloud.sagemaker.describe_transform_job(TransformJobName=listed["TransformJobName"])
    assert job["TransformOutput"]["KmsKeyId"] == key
    assert job["TransformResources"]["VolumeKmsKeyId"] == key
    endpoint = cloud.sagemaker.describe_endpoint(EndpointName=stage.endpoint)
    config = cloud.sagemaker.describe_endpoint_config(
        EndpointConfigName=endpoint["EndpointConfigName"]
    )
    assert config["KmsKeyId"] == key
    groups = running.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")
    assert {group["kmsKeyId"] for group in groups["logGroups"]} == {key}
    iam = running.client("iam")
    outputs = running.client("cloudformation").describe_stack_resources(StackName=stage.stack)
    roles = [
        each["PhysicalResourceId"]
        for each in outputs["StackResources"]
        if each["ResourceType"] == "AWS::IAM::Role"
    ]
    assert len(roles) == 7
    for role in roles:
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        documents = [
            iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names
        ]
        of_kms = [each for each in documents if "kms:" in json.dumps(each)]
        assert of_kms, role
        assert all(key in json.dumps(each) for each in of_kms), role
    said = sortbox(running, "doctor", "--image", STAND_IN)
    assert f"ok           key          {key} is enabled" in said
    assert "names no" not in said
    assert "under the stage's key" in said
    assert "not under the stage's key" not in said
