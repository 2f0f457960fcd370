"""Endpoints answer through a process, are replaced with no call lost, and fail as AWS's do."""

import re
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws.errors import is_too_large
from domain.route import LARGE_BODY_BYTES
from infra.local.sagemaker.hosting.runtime import BODY_BYTES
from tests.contract.local_sagemaker.support.cloud import (
    BUCKET,
    ROLE,
    Cloud,
    archive,
    archive_of,
    refused,
    unique,
)
from tests.contract.local_sagemaker.support.server import IMAGE
from tests.stand_in.answers import label_of


@pytest.fixture(scope="module")
def endpoint(cloud: Cloud) -> str:
    return cloud.serving()


def test_an_endpoint_answers_with_what_its_container_says(cloud: Cloud, endpoint: str) -> None:
    assert cloud.label(endpoint, b"one") == label_of(b"one")
    assert cloud.label(endpoint, b"two") == label_of(b"two")


def test_an_answer_names_the_variant_and_carries_the_attributes(
    cloud: Cloud, endpoint: str
) -> None:
    answer = cloud.runtime.invoke_endpoint(
        EndpointName=endpoint, Body=b"one", ContentType="image/jpeg", CustomAttributes="top_k=3"
    )
    assert answer["InvokedProductionVariant"] == "only"
    assert answer["CustomAttributes"] == "top_k=3"
    assert answer["ContentType"] == "application/json"


def test_the_environment_of_the_model_reaches_the_container(cloud: Cloud) -> None:
    endpoint = cloud.serving(SORTBOX_MODEL_ID="other:2:sha256:" + "1" * 64)
    body = cloud.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x")["Body"].read()
    assert b"other:2:sha256:1111" in body


def test_a_refusal_is_a_model_error_with_the_status_and_words_of_the_container(
    cloud: Cloud, endpoint: str
) -> None:
    error = cloud.model_error(endpoint, b"BAD image")
    assert error["OriginalStatusCode"] == 400
    assert "not_an_image" in error["OriginalMessage"]
    assert "Received client error (400) from primary" in error["Error"]["Message"]


def test_a_container_in_trouble_is_a_model_error_with_its_status(cloud: Cloud) -> None:
    error = cloud.model_error(cloud.serving(STAND_IN_STATUS="500"))
    assert error["OriginalStatusCode"] == 500
    assert "Received server error (500) from primary" in error["Error"]["Message"]


def test_an_answer_that_takes_too_long_is_a_model_error(cloud: Cloud) -> None:
    error = cloud.model_error(cloud.serving(STAND_IN_DELAY_MS="4000"))
    assert error["OriginalStatusCode"] == 0
    assert "Your invocation timed out" in error["OriginalMessage"]


def test_six_megabytes_pass_and_a_byte_more_does_not(cloud: Cloud, endpoint: str) -> None:
    whole = bytes(BODY_BYTES)
    assert cloud.label(endpoint, whole) == label_of(whole)
    with pytest.raises(ClientError, match=f"exceeded {BODY_BYTES} bytes") as refusal:
        cloud.runtime.invoke_endpoint(EndpointName=endpoint, Body=whole + b"!")
    assert is_too_large(refusal.value)


def test_where_25_megabytes_pass_a_byte_more_does_not(own_cloud: Cloud) -> None:
    own_cloud.server.options = ["--body-bytes", str(LARGE_BODY_BYTES)]
    own_cloud.server.stop()
    own_cloud.server.start()
    endpoint, whole = own_cloud.serving(), bytes(LARGE_BODY_BYTES)
    assert own_cloud.label(endpoint, whole) == label_of(whole)
    with pytest.raises(ClientError, match=f"exceeded {LARGE_BODY_BYTES} bytes") as refusal:
        own_cloud.runtime.invoke_endpoint(EndpointName=endpoint, Body=whole + b"!")
    assert is_too_large(refusal.value)


def test_an_endpoint_that_is_not_there_is_a_validation_error(cloud: Cloud) -> None:
    with refused("ValidationError", "Endpoint nope of account 000000000000 not found"):
        cloud.runtime.invoke_endpoint(EndpointName="nope", Body=b"x")


def test_a_variant_that_is_not_there_is_a_validation_error(cloud: Cloud, endpoint: str) -> None:
    with refused("ValidationError", "Variant"):
        cloud.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x", TargetVariant="other")


def test_a_container_that_dies_at_the_start_fails_the_endpoint(cloud: Cloud) -> None:
    endpoint = cloud.endpoint(cloud.model(STAND_IN_EXIT="3"))
    failed = cloud.settled(endpoint)
    assert failed["EndpointStatus"] == "Failed"
    assert "exited with status 3" in failed["FailureReason"]
    assert "told to exit with 3" in cloud.server.log_of(endpoint)


def test_a_model_archive_that_is_missing_fails_the_endpoint(cloud: Cloud) -> None:
    model = cloud.model()
    cloud.s3.delete_object(Bucket=BUCKET, Key=f"models/{model}.tar.gz")
    failed = cloud.settled(cloud.endpoint(model))
    assert failed["EndpointStatus"] == "Failed"
    assert f"Could not access model data at s3://{BUCKET}/models/{model}" in failed["FailureReason"]


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member, b""


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (archive({"../outside.txt": b"x"}), "'../outside.txt' has a segment"),
        (archive({"/etc/outside.txt": b"x"}), "no relative name"),
        (archive_of([link("etc", "/etc")]), "'etc' is not a regular file"),
        (b"not an archive", "not readable as gzip"),
    ],
    ids=["a step up", "absolute", "a link", "no archive"],
)
def test_a_model_archive_that_is_not_what_it_should_be_fails_the_endpoint(
    cloud: Cloud, packed: bytes, reason: str
) -> None:
    failed = cloud.settled(cloud.endpoint(cloud.model(packed)))
    assert failed["EndpointStatus"] == "Failed"
    assert reason in failed["FailureReason"]


def test_endpoints_are_listed_by_status(cloud: Cloud, endpoint: str) -> None:
    found = cloud.sagemaker.list_endpoints(StatusEquals="InService", MaxResults=100)["Endpoints"]
    assert endpoint in {item["EndpointName"] for item in found}
    failed = cloud.sagemaker.list_endpoints(StatusEquals="Failed", MaxResults=100)["Endpoints"]
    assert endpoint not in {item["EndpointName"] for item in failed}


def test_one_variant_is_all_there_is(cloud: Cloud) -> None:
    model = cloud.model()
    variants: Any = [
        {"VariantName": name, "ModelName": model, "InstanceType": "ml.m5.large"}
        for name in ("a", "b")
    ]
    with refused("ValidationException", "one production variant"):
        cloud.sagemaker.create_endpoint_config(
            EndpointConfigName=unique("config"), ProductionVariants=variants
        )


def test_a_model_without_data_serves_too(cloud: Cloud) -> None:
    name = unique("model")
    cloud.sagemaker.create_model(
        ModelName=name, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
    )
    assert cloud.settled(cloud.endpoint(name))["EndpointStatus"] == "InService"


def test_nothing_of_an_image_is_logged(cloud: Cloud, endpoint: str) -> None:
    cloud.label(endpoint, b"a very private photograph")
    assert not re.search("private photograph", cloud.server.log_of(endpoint))
