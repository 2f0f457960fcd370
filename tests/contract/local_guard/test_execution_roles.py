"""Jobs and endpoints of the local SageMaker act as their roles: those of the packaged template.

Each statement of either role is taken away, and something fails for want of it.
"""

import io
import itertools
import json
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import container_image
from infra.local.account import ACCOUNT, BUCKET, REGION
from infra.local.container_image import ImageCommand
from infra.local.place import REPOSITORY
from tests.contract.local_guard.conftest import Servers, started
from tests.contract.local_sagemaker.support.patience import until
from tests.support.builders import policies

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/sortbox@sha256:{'7' * 64}"
STAND_IN = ImageCommand(
    argv=[sys.executable, "-m", "tests.stand_in"],
    train=[sys.executable, "-m", "tests.stand_in.train"],
    cwd=str(REPOSITORY),
    env={},
)
CREATE = {"Effect": "Allow", "Action": "sagemaker:CreateModel", "Resource": "*"}
MACHINE = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}

_numbers = itertools.count(1)


def arn(role: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


@dataclass(frozen=True)
class World:
    servers: Servers

    def client(self, service: str, key: tuple[str, ...] = ()) -> Any:
        return self.servers.client(service, key)

    def put(self, key: str, body: bytes = b"here") -> str:
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def add_role(self, name: str, trust: Mapping[str, Any], held: list[dict[str, Any]]) -> str:
        iam, document = self.client("iam"), json.dumps(trust)
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
        self.grant(name, held)
        return arn(name)

    def grant(self, role: str, held: list[dict[str, Any]]) -> None:
        policy = json.dumps({"Version": "2012-10-17", "Statement": held})
        self.client("iam").put_role_policy(RoleName=role, PolicyName="held", PolicyDocument=policy)

    @contextmanager
    def without(self, role: str, sid: str) -> Iterator[None]:
        whole = policies.statements(role)
        rest = [each for each in whole if each["Sid"] != sid]
        assert len(rest) == len(whole) - 1
        self.grant(role, rest)
        try:
            yield
        finally:
            self.grant(role, whole)

    def user(self, *held: dict[str, Any]) -> tuple[str, str]:
        iam, name = self.client("iam"), f"user-{next(_numbers)}"
        iam.create_user(UserName=name)
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(held)})
        iam.put_user_policy(UserName=name, PolicyName="held", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def model(self, key: tuple[str, ...] = (), **members: Any) -> str:
        name = f"sortbox-local-{next(_numbers)}"
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            member = tarfile.TarInfo("card.json")
            member.size = 2
            archive.addfile(member, io.BytesIO(b"{}"))
        url = self.put(f"models/{name}/1/model.tar.gz", packed.getvalue())
        request = {
            "ModelName": name,
            "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": url},
            "ExecutionRoleArn": arn("ModelRole"),
        }
        self.client("sagemaker", key).create_model(**{**request, **members})
        return name

    def config(self) -> str:
        name = self.model()
        variant = {"VariantName": "only", "ModelName": name, "InitialInstanceCount": 1}
        self.client("sagemaker").create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[variant | {"InstanceType": "ml.m5.xlarge"}]
        )
        return name

    def transformed(self, model: str, has_companion: bool = False) -> Mapping[str, Any]:
        """As onFolder asks for it; a manifest with a companion is of the whole bucket."""
        sagemaker, name = self.client("sagemaker"), f"sortbox-local-job-{next(_numbers)}"
        self.put(f"inbox/{name}/cat.jpg", b"a cat")
        rows: list[Any] = [{"prefix": f"s3://{BUCKET}/inbox/{name}/"}, "cat.jpg"]
        if has_companion:
            rows = [{"prefix": f"s3://{BUCKET}/"}, f"inbox/{name}/cat.jpg"]
        manifest = self.put(f"work/runs/{name}/0.manifest", json.dumps(rows).encode())
        source = {"S3DataType": "ManifestFile", "S3Uri": manifest}
        output = f"s3://{BUCKET}/work/runs/{name}/output/0/"
        sagemaker.create_transform_job(
            TransformJobName=name,
            ModelName=model,
            TransformInput={"DataSource": {"S3DataSource": source}},
            TransformOutput={"S3OutputPath": output},
            TransformResources=MACHINE,
            ModelClientConfig={"InvocationsMaxRetries": 0},
        )
        return ended(lambda: sagemaker.describe_transform_job(TransformJobName=name), "Transform")

    def trained(self, data: str = "", **members: Any) -> Mapping[str, Any]:
        """As `./sortbox train` asks for it."""
        sagemaker, name = self.client("sagemaker"), f"sortbox-local-train-{next(_numbers)}"
        self.put(f"training/data/{name}/cat/a.jpg")
        uri = data or f"s3://{BUCKET}/training/data/{name}/"
        source = {"S3DataType": "S3Prefix", "S3Uri": uri}
        request = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": arn("TrainingRole"),
            "InputDataConfig": [{"ChannelName": "data", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/training/jobs/"},
            "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/training/checkpoints/{name}/"},
            "ResourceConfig": {**MACHINE, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        sagemaker.create_training_job(**{**request, **members})
        return ended(lambda: sagemaker.describe_training_job(TrainingJobName=name), "Training")


def ended(describe: Any, kind: str) -> Mapping[str, Any]:
    def look() -> Mapping[str, Any] | None:
        seen: Mapping[str, Any] = describe()
        return None if seen[f"{kind}JobStatus"] in ("InProgress", "Stopping") else seen

    found: Mapping[str, Any] = until(look)
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with started(tmp_path_factory.mktemp("guarded")) as servers:
        world = World(servers)
        container_image.write_commands(servers.place, {IMAGE: STAND_IN})
        world.client("s3").create_bucket(Bucket=BUCKET)
        for name, role in policies.roles().items():
            trust, held = role["AssumeRolePolicyDocument"], policies.statements(name)
            world.add_role(name, trust, held)
        yield world


def test_with_its_role_a_model_answers_a_folder(world: World) -> None:
    assert world.transformed(world.model())["TransformJobStatus"] == "Completed"


def test_with_its_role_a_training_job_keeps_model_checkpoints_and_log(world: World) -> None:
    job = world.trained()
    assert job["TrainingJobStatus"] == "Completed", job
    name, s3 = job["TrainingJobName"], world.client("s3")
    for prefix in (f"training/jobs/{name}/", f"training/checkpoints/{name}/"):
        assert s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["KeyCount"], prefix
    streams = world.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=name
    )
    assert len(streams["logStreams"]) == 1


PULL = {"PullTheImage": "ecr:BatchCheckLayerAvailability"}
WATCHED = {
    **PULL,
    "LogInToTheRegistry": "ecr:GetAuthorizationToken",
    "Log": "logs:CreateLogGroup",
    "Measure": "cloudwatch:PutMetricData",
}
OF_A_MODEL = {
    "ReadModelsImagesAndManifests": "403",
    "WriteTransformOutput": "PutObject",
    "List": "ListObjectsV2",
    **WATCHED,
}
OF_TRAINING = {
    "ReadDataWeightsAndCheckpoints": "403",
    "WriteModelsReportsAndCheckpoints": "PutObject",
    "List": "ListObjectsV2",
    **WATCHED,
}
"""What is denied, as the reason of a failure names it, for each statement."""

OF_AN_UPDATE = "WatchTheAlarmThatUndoesAnUpdate"
OF_A_COMPANION = "ListThePrefixOfAManifestWithACompanion"


@pytest.mark.parametrize(("sid", "denied"), OF_A_MODEL.items())
def test_without_a_statement_of_its_models_role_a_transform_job_fails(
    world: World, sid: str, denied: str
) -> None:
    model = world.model()
    with world.without("ModelRole", sid):
        job = world.transformed(model)
    assert job["TransformJobStatus"] == "Failed"
    assert denied in job["FailureReason"]


def test_a_manifest_with_a_companion_needs_leave_to_list_its_prefix(world: World) -> None:
    model = world.model()
    assert world.transformed(model, has_companion=True)["TransformJobStatus"] == "Completed"
    with world.without("ModelRole", OF_A_COMPANION):
        job = world.transformed(model, has_companion=True)
        assert world.transformed(model)["TransformJobStatus"] == "Completed"
    assert job["TransformJobStatus"] == "Failed"
    assert "ListObjectsV2" in job["FailureReason"]


@pytest.mark.parametrize(("sid", "denied"), OF_TRAINING.items())
def test_without_a_statement_of_its_role_a_training_job_fails(
    world: World, sid: str, denied: str
) -> None:
    with world.without("TrainingRole", sid):
        job = world.trained()
    assert job["TrainingJobStatus"] == "Failed"
    assert denied in job["FailureReason"]


def test_without_leave_to_see_its_alarm_an_update_is_undone(world: World) -> None:
    sagemaker, name, alarm = world.client("sagemaker"), "guarded", "sortbox-local-endpoint-errors"
    world.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
    )
    first, second = world.config(), world.config()
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=first)
    settle = partial(until, lambda: settled(sagemaker.describe_endpoint(EndpointName=name)))
    assert settle()["EndpointStatus"] == "InService"
    guarded = {
        "EndpointName": name,
        "EndpointConfigName": second,
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
        },
    }
    with world.without("ModelRole", OF_AN_UPDATE):
        sagemaker.update_endpoint(**guarded)
        state = settle()
    assert state["EndpointConfigName"] == first
    assert "not authorized to perform: cloudwatch:DescribeAlarms" in state["FailureReason"]
    sagemaker.update_endpoint(**guarded)
    assert settle()["EndpointConfigName"] == second


def settled(endpoint: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return endpoint if endpoint["EndpointStatus"] in ("InService", "Failed") else None


def test_every_statement_of_both_roles_is_among_them() -> None:
    held = {each["Sid"] for each in policies.statements("ModelRole")}
    assert held == set(OF_A_MODEL) | {OF_AN_UPDATE, OF_A_COMPANION}
    assert {each["Sid"] for each in policies.statements("TrainingRole")} == set(OF_TRAINING)


def test_data_outside_of_the_roles_reach_fail_the_job(world: World) -> None:
    world.put("elsewhere/cat/a.jpg")
    job = world.trained(f"s3://{BUCKET}/elsewhere/")
    assert job["TrainingJobStatus"] == "Failed"
    assert "AccessDenied" in job["FailureReason"]


def test_a_model_whose_role_cannot_read_it_is_refused_as_it_is_made(world: World) -> None:
    sentence = "Could not access model data at .* Please ensure that the role"
    with (
        world.without("ModelRole", "ReadModelsImagesAndManifests"),
        pytest.raises(ClientError, match=sentence),
    ):
        world.model()


@pytest.mark.parametrize("trusted", ["lambda.amazonaws.com", "ec2.amazonaws.com"])
def test_a_role_that_does_not_trust_sagemaker_is_refused(world: World, trusted: str) -> None:
    allow = {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}
    role = world.add_role(
        f"of-{trusted}", {"Version": "2012-10-17", "Statement": [allow]}, [CREATE]
    )
    with pytest.raises(ClientError, match="Could not assume role"):
        world.model(ExecutionRoleArn=role)
    with pytest.raises(ClientError, match="Could not assume role"):
        world.trained(RoleArn=role)
    with pytest.raises(ClientError, match="Could not assume role"):
        world.trained(RoleArn=arn("nobody"))


def test_who_gives_a_role_may_have_to_pass_it(world: World) -> None:
    passing = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": arn("ModelRole"),
        "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    }
    with pytest.raises(ClientError, match="not authorized to perform: iam:PassRole"):
        world.model(world.user(CREATE))
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:CreateModel"):
        world.model(world.user(passing))
    world.model(world.user(CREATE, passing))


def test_a_function_may_ask_of_sagemaker_what_its_role_says(world: World) -> None:
    upload, page = (policies.statements(role) for role in ("OnUploadRole", "OnFolderRole"))
    runtime = world.client("sagemaker-runtime", world.user(*upload))
    with pytest.raises(ClientError, match=r"Endpoint sortbox-local of account .* not found"):
        runtime.invoke_endpoint(EndpointName="sortbox-local", Body=b"x")
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:InvokeEndpoint"):
        runtime.invoke_endpoint(EndpointName="another", Body=b"x")
    jobs = world.client("sagemaker", world.user(*page))
    with pytest.raises(ClientError, match="ResourceNotFound"):
        jobs.describe_transform_job(TransformJobName="sortbox-local-x")
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:Describe"):
        jobs.describe_transform_job(TransformJobName="sortbox-dev-x")
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:ListModels"):
        jobs.list_models()
