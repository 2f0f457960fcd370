"""The control plane refuses what AWS refuses, in AWS's words, and describes what it was told."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session
from moto import mock_aws

from tests.contract.local_sagemaker.support.cloud import BUCKET, ROLE, Cloud, refused, unique
from tests.contract.local_sagemaker.support.server import CREDENTIALS, IMAGE


def post(cloud: Cloud, operation: str, body: str) -> tuple[int, bytes]:
    """A request that boto3 itself would refuse to send."""
    headers = {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
    }
    request = AWSRequest("POST", cloud.server.url, headers=headers, data=body.encode())
    own = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(own, "sagemaker", "us-east-1").add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    return answer.status_code, answer.content


def test_an_operation_that_is_not_built_answers_400_so_that_nobody_retries(cloud: Cloud) -> None:
    with refused("UnknownOperationException", "CreateNotebookInstance"):
        cloud.sagemaker.create_notebook_instance(
            NotebookInstanceName="n", InstanceType="ml.t3.medium", RoleArn=ROLE
        )
    assert post(cloud, "NoSuchThing", "{}")[0] == 400


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"ModelName": "m", "Nope": 1}', b"Unknown parameter in input"),
        ("{}", b"Missing required parameter"),
        ('{"ModelName": 7}', b"Invalid type for parameter ModelName"),
        ("[]", b"not a JSON object"),
        ("{", b"not JSON"),
        ('{"ModelName": "' + "a" * 64 + '"}', b"length less than or equal to 63"),
        ('{"ModelName": "no_underscores"}', b"satisfy regular expression pattern"),
    ],
)
def test_a_request_of_the_wrong_shape_is_a_validation_exception(
    cloud: Cloud, body: str, sentence: bytes
) -> None:
    status, answer = post(cloud, "DescribeModel", body)
    assert status == 400
    assert b'"__type":"ValidationException"' in answer
    assert sentence in answer


def test_a_value_outside_an_enumeration_names_its_place(cloud: Cloud) -> None:
    with refused("ValidationException", "at 'sortOrder' failed.*enum value set"):
        cloud.sagemaker.list_models(SortOrder="Sideways")  # type: ignore[arg-type]


def test_a_number_above_its_bound_is_refused(cloud: Cloud) -> None:
    with refused("ValidationException", "less than or equal to 100"):
        cloud.sagemaker.list_models(MaxResults=101)


def test_a_model_of_an_image_that_is_nowhere_is_refused(cloud: Cloud) -> None:
    with refused("ValidationException", "Requested image no/such:image not found"):
        cloud.sagemaker.create_model(
            ModelName="m", PrimaryContainer={"Image": "no/such:image"}, ExecutionRoleArn=ROLE
        )


def test_model_data_must_be_in_s3(cloud: Cloud) -> None:
    with refused("ValidationException", "not an S3 URI"):
        cloud.sagemaker.create_model(
            ModelName="m",
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": "https://example.com/m.tar.gz"},
            ExecutionRoleArn=ROLE,
        )


@pytest.mark.parametrize(
    ("missing", "expected", "sentence"),
    [
        (
            lambda client: client.describe_model(ModelName="nope"),
            "ValidationException",
            'Could not find model "arn:aws:sagemaker:us-east-1:000000000000:model/nope"',
        ),
        (
            lambda client: client.delete_endpoint_config(EndpointConfigName="nope"),
            "ValidationException",
            'Could not find endpoint configuration "arn:.*:endpoint-config/nope"',
        ),
        (
            lambda client: client.describe_endpoint(EndpointName="nope"),
            "ValidationException",
            'Could not find endpoint "arn:.*:endpoint/nope"',
        ),
        (
            lambda client: client.create_endpoint(EndpointName="e", EndpointConfigName="nope"),
            "ValidationException",
            "Could not find endpoint configuration",
        ),
        (
            lambda client: client.describe_transform_job(TransformJobName="nope"),
            "ResourceNotFound",
            "Could not find requested job with name: nope",
        ),
        (
            lambda client: client.stop_transform_job(TransformJobName="nope"),
            "ResourceNotFound",
            "Could not find requested job",
        ),
        (
            lambda client: client.list_tags(
                ResourceArn="arn:aws:sagemaker:us-east-1:000000000000:app/nope"
            ),
            "ValidationException",
            "Could not find resource",
        ),
    ],
)
def test_what_is_not_there_is_named(
    cloud: Cloud, missing: Callable[[Any], object], expected: str, sentence: str
) -> None:
    with refused(expected, sentence):
        missing(cloud.sagemaker)


def test_a_configuration_needs_its_model(cloud: Cloud) -> None:
    with refused("ValidationException", "Could not find model"):
        cloud.config("nope")


def test_a_name_is_taken_once(cloud: Cloud) -> None:
    model = cloud.model()
    with refused("ValidationException", 'Cannot create already existing model "arn:'):
        cloud.sagemaker.create_model(
            ModelName=model, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
        )


def test_a_deleted_model_is_gone_and_its_name_free(cloud: Cloud) -> None:
    model = cloud.model()
    cloud.sagemaker.delete_model(ModelName=model)
    with refused("ValidationException", "Could not find model"):
        cloud.sagemaker.describe_model(ModelName=model)
    cloud.sagemaker.create_model(
        ModelName=model, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
    )


def test_describe_says_what_create_said_without_empty_structures(cloud: Cloud) -> None:
    seen = cloud.sagemaker.describe_model(ModelName=cloud.model(SORTBOX_CONTAINER="c:1"))
    assert seen["PrimaryContainer"]["Environment"] == {"SORTBOX_CONTAINER": "c:1"}
    assert seen["ExecutionRoleArn"] == ROLE
    assert not {"VpcConfig", "Containers", "Tags"} & seen.keys()


def test_pages_of_a_list_hold_every_item_once_in_order(cloud: Cloud) -> None:
    common = unique("listed")
    names = [f"{common}-{letter}" for letter in "abcde"]
    for name in names:
        cloud.sagemaker.create_model(
            ModelName=name, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
        )
    pages = cloud.sagemaker.get_paginator("list_models").paginate(
        NameContains=common, SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    listed = [[item["ModelName"] for item in page["Models"]] for page in pages]
    assert listed == [names[:2], names[2:4], names[4:]]


def test_lists_are_newest_first_and_filtered_by_time(cloud: Cloud) -> None:
    older, newer = cloud.model(), cloud.model()

    def listed(**times: datetime) -> list[str]:
        found = cloud.sagemaker.list_models(**times, MaxResults=100)["Models"]  # type: ignore[arg-type]
        return [item["ModelName"] for item in found]

    assert listed(CreationTimeAfter=datetime(2020, 1, 1, tzinfo=UTC))[:2] == [newer, older]
    assert listed(CreationTimeAfter=datetime(2100, 1, 1, tzinfo=UTC)) == []
    assert listed(CreationTimeBefore=datetime(2020, 1, 1, tzinfo=UTC)) == []


def test_a_token_that_was_never_given_is_refused(cloud: Cloud) -> None:
    with refused("ValidationException", "Invalid NextToken"):
        cloud.sagemaker.list_endpoints(NextToken="made up")


def test_tags_are_added_replaced_listed_and_removed(cloud: Cloud) -> None:
    arn = cloud.sagemaker.describe_model(ModelName=cloud.model())["ModelArn"]
    cloud.sagemaker.add_tags(
        ResourceArn=arn, Tags=[{"Key": "stage", "Value": "dev"}, {"Key": "who", "Value": "me"}]
    )
    cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "prod"}])
    cloud.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["who"])
    tags = cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"]
    assert tags == [{"Key": "stage", "Value": "prod"}]


def test_tags_given_at_creation_are_there(cloud: Cloud) -> None:
    name = unique("model")
    arn = cloud.sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": IMAGE},
        ExecutionRoleArn=ROLE,
        Tags=[{"Key": "stage", "Value": "dev"}],
    )["ModelArn"]
    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "dev"}]


def test_a_mock_of_another_file_does_not_empty_this_s3(cloud: Cloud) -> None:
    cloud.put("kept", b"whole")
    with mock_aws():
        pass
    kept = cloud.s3.get_object(Bucket=BUCKET, Key="kept")["Body"].read()
    assert kept == b"whole", "every mock_aws empties the state of its own process"
