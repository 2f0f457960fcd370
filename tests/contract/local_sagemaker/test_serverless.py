"""A serverless endpoint starts its container on demand, stops it, and refuses what AWS does."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.endpoint_settings import EndpointSettings
from infra.local import processes
from infra.models.endpoint import delete_other_endpoints, ensure_endpoint
from tests.contract.local_sagemaker.support.cloud import ROLE, Cloud, refused, unique
from tests.contract.local_sagemaker.support.patience import until
from tests.contract.local_sagemaker.support.server import IMAGE
from tests.contract.local_sagemaker.test_activation import Undeployed
from tests.stand_in.answers import label_of


def config(cloud: Cloud, model: str, **members: int) -> str:
    name = unique("config")
    serverless: Any = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, **members}
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "only", "ModelName": model, "ServerlessConfig": serverless}
        ],
    )
    return name


def serving(cloud: Cloud, model: str, **members: int) -> str:
    name = unique("serverless")
    cloud.sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName=config(cloud, model, **members)
    )
    assert cloud.settled(name)["EndpointStatus"] == "InService"
    return name


def test_the_container_stops_when_idle_and_the_next_request_starts_it(cloud: Cloud) -> None:
    endpoint = serving(cloud, cloud.model())
    for image in (b"one", b"two"):
        assert cloud.label(endpoint, image) == label_of(image)
        until(lambda: endpoint not in {one.name for one in processes.find_running(endpoint)})
    seen = cloud.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert seen["EndpointStatus"] == "InService", "an endpoint that sleeps is in service"
    [variant] = seen["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert "CurrentInstanceCount" not in variant


def test_a_request_of_more_than_4_mb_is_refused_and_one_of_less_is_not(cloud: Cloud) -> None:
    endpoint = serving(cloud, cloud.model())
    body = b"x" * 4_000_000
    assert cloud.label(endpoint, body) == label_of(body)
    with pytest.raises(ClientError) as raised:
        cloud.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x" * (4 * 1024 * 1024 + 1))
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"MemorySizeInMB": 1500}, "1 GB increments"),
        ({"ProvisionedConcurrency": 6}, "less than or equal to MaxConcurrency"),
        ({"MemorySizeInMB": 7168}, ""),
        ({"MaxConcurrency": 201}, ""),
    ],
)
def test_a_configuration_beyond_the_documented_limits_is_refused(
    cloud: Cloud, members: dict[str, int], words: str
) -> None:
    with refused("ValidationException", words):
        config(cloud, cloud.model(), **members)


def test_a_model_without_a_network_is_refused(cloud: Cloud) -> None:
    name = unique("model")
    cloud.sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": IMAGE},
        ExecutionRoleArn=ROLE,
        EnableNetworkIsolation=True,
    )
    with refused("ValidationException", "does not support network isolation"):
        config(cloud, name)


def test_an_endpoint_on_an_instance_cannot_become_serverless(cloud: Cloud) -> None:
    endpoint = cloud.serving()
    with refused("ValidationException", "cannot be converted to a serverless"):
        cloud.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName=config(cloud, cloud.model())
        )
    assert cloud.label(endpoint, b"x") == label_of(b"x")


def test_a_model_that_does_not_come_up_fails_the_endpoint(cloud: Cloud) -> None:
    name = unique("serverless")
    model = cloud.model(STAND_IN_EXIT="1")
    cloud.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config(cloud, model))
    assert cloud.settled(name)["EndpointStatus"] == "Failed"


def test_a_stage_has_an_endpoint_of_each_mode_until_the_other_is_deleted(cloud: Cloud) -> None:
    stage, serverless = Undeployed("modes"), EndpointSettings("serverless", 1024, 3)
    instance = cloud.model()
    ensure_endpoint(cloud.sagemaker, stage, instance)
    model = cloud.model()
    ensure_endpoint(cloud.sagemaker, stage, model, serverless)
    for name in stage.endpoint_names.values():
        assert cloud.label(name, b"x") == label_of(b"x"), "both answer until the pointer has moved"
    described = cloud.sagemaker.describe_endpoint_config(EndpointConfigName=model)
    [variant] = described["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 1024, "MaxConcurrency": 3}
    delete_other_endpoints(cloud.sagemaker, stage, serverless)
    names = [one["EndpointName"] for one in cloud.sagemaker.list_endpoints()["Endpoints"]]
    until(lambda: "sortbox-modes" not in _names(cloud))
    assert "sortbox-modes-serverless" in names
    assert cloud.label("sortbox-modes-serverless", b"x") == label_of(b"x")


def _names(cloud: Cloud) -> list[str]:
    listed = cloud.sagemaker.list_endpoints(NameContains="sortbox-modes")["Endpoints"]
    return [one["EndpointName"] for one in listed]
