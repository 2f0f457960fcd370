"""Transform jobs: the request as it is sent, and what SageMaker's answers mean."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch.context import TransformResources
from batch.jobs.transform import (
    Denied,
    Ended,
    Missing,
    NameTakenError,
    NoCapacity,
    Running,
    Stopped,
    TransformRequest,
    describe,
    request_for,
    start,
)
from batch.planning.slice import LARGE_IMAGES, SMALL_IMAGES
from domain.keys import JobName
from tests.support.builders.packaged import KEY
from tests.support.fakes.aws import FakeS3, error
from tests.support.fakes.sagemaker import FakeSageMaker

NAME = JobName("test", "trip", "0123456789", 1, 0, 0)


def order(manifest: str = "s3://bucket/work/m", large: bool = False) -> TransformRequest:
    road = LARGE_IMAGES if large else SMALL_IMAGES
    machines = TransformResources("ml.m5.xlarge", 2)
    return TransformRequest(
        NAME, manifest, "s3://bucket/work/out/", "sortbox-test-1", road, machines
    )


def sagemaker() -> Any:
    return FakeSageMaker(FakeS3())


def test_the_request_says_everything_that_matters() -> None:
    assert request_for(order()) == {
        "TransformJobName": "sortbox-test-trip-0123456789-1-0-0",
        "ModelName": "sortbox-test-1",
        "MaxPayloadInMB": 6,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 90, "InvocationsMaxRetries": 3},
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://bucket/work/m"}
            },
            "ContentType": "application/x-image",
            "SplitType": "None",
            "CompressionType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": "s3://bucket/work/out/",
            "Accept": "application/json",
            "AssembleWith": "None",
        },
        "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
        "Tags": [{"Key": "app", "Value": "sortbox"}, {"Key": "stage", "Value": "test"}],
    }


def test_large_images_go_one_at_a_time() -> None:
    request = request_for(order(large=True))
    assert (request["MaxPayloadInMB"], request["MaxConcurrentTransforms"]) == (100, 1)


def test_the_request_is_one_that_sagemaker_accepts() -> None:
    """By botocore's own model of the service."""
    import boto3
    from botocore.validate import ParamValidator

    client = boto3.client("sagemaker", region_name="eu-west-1")
    shape = client.meta.service_model.operation_model("CreateTransformJob").input_shape
    assert shape is not None
    for large in (False, True):
        report = ParamValidator().validate(request_for(order(large=large)), shape)
        assert not report.has_errors(), report.generate_report()


def test_a_job_is_missing_then_running_then_ended() -> None:
    fake = sagemaker()
    assert describe(fake, NAME) == Missing()
    assert start(fake, order()) == Running()
    assert describe(fake, NAME) == Running()
    fake.jobs[str(NAME)].status = "Completed"
    assert describe(fake, NAME) == Ended(None)


@pytest.mark.parametrize(
    ("status", "job"),
    [("Stopping", Running()), ("Stopped", Stopped()), ("Failed", Ended("no reason given"))],
)
def test_what_describe_says_about_a_job(status: str, job: object) -> None:
    fake = sagemaker()
    start(fake, order())
    fake.jobs[str(NAME)].status = status
    assert describe(fake, NAME) == job


def test_the_same_job_started_twice_is_one_job() -> None:
    fake = sagemaker()
    start(fake, order())
    assert start(fake, order()) == Running()
    assert len(fake.jobs) == 1


def test_a_name_with_another_manifest_is_a_fault() -> None:
    fake = sagemaker()
    start(fake, order())
    with pytest.raises(NameTakenError, match="s3://bucket/work/m and not of s3://bucket/other"):
        start(fake, order("s3://bucket/other"))


def test_a_full_account_is_waited_for() -> None:
    fake = sagemaker()
    fake.capacity = 0
    assert start(fake, order()) == NoCapacity()


def refusing(code: str) -> Any:
    fake = sagemaker()

    def refuse() -> None:
        raise error("CreateTransformJob", 400, code)

    fake.meanwhile = refuse
    return fake


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException"])
def test_what_will_be_refused_for_ever_is_told_and_not_tried_again(code: str) -> None:
    job = start(refusing(code), order())
    assert isinstance(job, Denied)
    assert code in job.reason


def test_any_other_refusal_is_raised() -> None:
    with pytest.raises(ClientError, match="Throttling"):
        start(refusing("ThrottlingException"), order())


def test_a_describe_that_is_refused_is_not_a_missing_job() -> None:
    class Refusing:
        def describe_transform_job(self, *, TransformJobName: str) -> dict[str, Any]:
            raise error("DescribeTransformJob", 400, "AccessDeniedException")

    client: Any = Refusing()
    with pytest.raises(ClientError, match="AccessDenied"):
        describe(client, NAME)


@pytest.mark.parametrize(("kind", "disks"), [("ml.m5.xlarge", True), ("ml.g4dn.xlarge", False)])
def test_output_and_disks_are_under_the_stages_key_where_the_machine_takes_one(
    kind: Any, disks: bool
) -> None:
    under = replace(order(), resources=TransformResources(kind, 1, KEY))
    request = request_for(under)
    assert request["TransformOutput"].pop("KmsKeyId") == KEY
    assert request["TransformResources"].pop("VolumeKmsKeyId", None) == (KEY if disks else None)
    assert request == request_for(replace(under, resources=TransformResources(kind, 1)))
