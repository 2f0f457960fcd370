"""The model registry: groups, numbered versions, approval, metrics and lineage."""

from typing import Any

import pytest

from tests.contract.local_sagemaker.support.cloud import BUCKET, Cloud, refused, unique
from tests.contract.local_sagemaker.support.server import IMAGE


@pytest.fixture
def group(cloud: Cloud) -> str:
    name = unique("pets")
    cloud.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return name


def register(cloud: Cloud, group: str, **members: Any) -> str:
    """Returns the version's ARN."""
    specification: Any = {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/m.tar.gz"}],
        "SupportedContentTypes": ["image/jpeg"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    return cloud.sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=specification, **members
    )["ModelPackageArn"]


def test_versions_are_counted_and_await_approval(cloud: Cloud, group: str) -> None:
    first, second = register(cloud, group), register(cloud, group)
    assert first.endswith(f":model-package/{group}/1")
    seen = cloud.sagemaker.describe_model_package(ModelPackageName=second)
    assert seen["ModelPackageVersion"] == 2
    assert seen["ModelPackageGroupName"] == group
    assert seen["ModelPackageStatus"] == "Completed"
    assert seen["ModelApprovalStatus"] == "PendingManualApproval"
    assert "ModelPackageName" not in seen


def test_metrics_and_lineage_are_kept(cloud: Cloud, group: str) -> None:
    statistics = {"ContentType": "application/json", "S3Uri": f"s3://{BUCKET}/metrics.json"}
    arn = register(
        cloud,
        group,
        ModelMetrics={"ModelQuality": {"Statistics": statistics}},
        MetadataProperties={"CommitId": "abc", "GeneratedBy": "arn:training-job"},
        CustomerMetadataProperties={"digest": "sha256:1"},
        Tags=[{"Key": "stage", "Value": "dev"}],
    )
    seen = cloud.sagemaker.describe_model_package(ModelPackageName=arn)
    assert seen["ModelMetrics"]["ModelQuality"]["Statistics"] == statistics
    assert seen["MetadataProperties"]["CommitId"] == "abc"
    assert seen["CustomerMetadataProperties"] == {"digest": "sha256:1"}
    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "dev"}]


def test_a_version_is_approved_and_found_by_that(cloud: Cloud, group: str) -> None:
    first, second = register(cloud, group), register(cloud, group)
    cloud.sagemaker.update_model_package(
        ModelPackageArn=second,
        ModelApprovalStatus="Approved",
        ApprovalDescription="better",
        CustomerMetadataProperties={"losses": "1"},
    )
    found = cloud.sagemaker.list_model_packages(
        ModelPackageGroupName=group, ModelApprovalStatus="Approved"
    )["ModelPackageSummaryList"]
    assert [each["ModelPackageVersion"] for each in found] == [2]
    everything = cloud.sagemaker.list_model_packages(
        ModelPackageGroupName=group, SortOrder="Ascending"
    )["ModelPackageSummaryList"]
    assert [each["ModelPackageArn"] for each in everything] == [first, second]
    seen = cloud.sagemaker.describe_model_package(ModelPackageName=second)
    assert seen["ApprovalDescription"] == "better"
    assert seen["CustomerMetadataProperties"] == {"losses": "1"}


def test_a_number_is_given_once(cloud: Cloud, group: str) -> None:
    first = register(cloud, group)
    cloud.sagemaker.delete_model_package(ModelPackageName=first)
    assert register(cloud, group).endswith("/2")


def test_a_repeated_request_makes_one_version(cloud: Cloud, group: str) -> None:
    assert register(cloud, group, ClientToken="again") == register(
        cloud, group, ClientToken="again"
    )


def test_a_group_goes_when_it_is_empty(cloud: Cloud, group: str) -> None:
    arn = register(cloud, group)
    with refused("ConflictException", "contains Model Packages"):
        cloud.sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    cloud.sagemaker.delete_model_package(ModelPackageName=arn)
    cloud.sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with refused("ValidationException", "Could not find model package group"):
        cloud.sagemaker.describe_model_package_group(ModelPackageGroupName=group)


def test_a_group_is_described_and_listed(cloud: Cloud, group: str) -> None:
    seen = cloud.sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    assert seen["ModelPackageGroupStatus"] == "Completed"
    found = cloud.sagemaker.list_model_package_groups(NameContains=group)
    names = [each["ModelPackageGroupName"] for each in found["ModelPackageGroupSummaryList"]]
    assert names == [group]


def test_a_version_needs_its_group_and_its_image(cloud: Cloud, group: str) -> None:
    with refused("ValidationException", "Could not find model package group"):
        register(cloud, "nope")
    with refused("ValidationException", "image no/such:image not found"):
        cloud.sagemaker.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification={"Containers": [{"Image": "no/such:image"}]},
        )


def test_a_package_without_a_group_is_not_for_here(cloud: Cloud) -> None:
    with refused("ValidationException", "registers versions of a ModelPackageGroupName"):
        cloud.sagemaker.create_model_package(ModelPackageName="alone")


def test_versions_survive_a_restart(own_cloud: Cloud) -> None:
    own_cloud.sagemaker.create_model_package_group(ModelPackageGroupName="kept")
    arn = register(own_cloud, "kept")
    own_cloud.server.stop()
    own_cloud.server.start()
    assert own_cloud.sagemaker.describe_model_package(ModelPackageName=arn)
    assert register(own_cloud, "kept").endswith("/2")
