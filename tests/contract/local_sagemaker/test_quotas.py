"""An account's quotas hold, each for its instance type and use, and are shown as AWS shows them."""

import boto3
import pytest

from infra.local.accounts import Account
from infra.quotas import BUILDS
from tests.contract.local_sagemaker.support.cloud import Cloud, refused
from tests.contract.local_sagemaker.support.patience import until
from tests.contract.local_sagemaker.support.server import QUOTAS
from tests.contract.local_sagemaker.support.tuning import limits, tuning

SENTENCE = (
    "The account-level service limit 'ml.m5.large for {use}' is {limit} Instances, with current "
    "utilization of {used} Instances and a request delta of {delta} Instances. Please use AWS "
    "Service Quotas to request an increase for this quota. If AWS Service Quotas is not "
    "available, contact AWS support to request an increase for this quota."
)


@pytest.fixture
def fresh(own_cloud: Cloud) -> Cloud:
    """An account of yesterday."""
    own_cloud.server.stop()
    own_cloud.server.allow(Account.named("fresh").quotas)
    own_cloud.server.start()
    return own_cloud


def restarted(cloud: Cloud, quotas: dict[str, int]) -> None:
    cloud.server.stop()
    cloud.server.allow({**quotas, **QUOTAS})
    cloud.server.start()


def test_a_fresh_account_has_no_machine_for_an_endpoint(fresh: Cloud) -> None:
    sentence = SENTENCE.format(use="endpoint usage", limit=0, used=0, delta=1)
    with refused("ResourceLimitExceeded", sentence):
        fresh.endpoint(fresh.model())
    assert fresh.sagemaker.list_endpoints()["Endpoints"] == []


def test_a_fresh_account_has_no_machine_for_a_job(fresh: Cloud) -> None:
    folder, images = fresh.images(1)
    model = fresh.model()
    with refused("ResourceLimitExceeded", "transform job usage' is 0 Instances"):
        fresh.transform(fresh.manifest(folder, images), model)
    with refused("ResourceLimitExceeded", "'ml.m5.large for training job usage' is 0 Instances"):
        fresh.training()
    with refused("ResourceLimitExceeded", "'ml.m5.large for spot training job usage' is 0"):
        fresh.training(
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        )
    assert fresh.sagemaker.list_transform_jobs()["TransformJobSummaries"] == []
    assert fresh.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_a_fresh_account_refuses_a_search_before_its_first_trial(fresh: Cloud) -> None:
    with refused("ResourceLimitExceeded", "is 0 Instances.*a request delta of 2 Instances"):
        tuning(fresh, limits(4, parallel=2))


def test_an_update_takes_a_second_fleet_and_gives_the_first_back(own_cloud: Cloud) -> None:
    restarted(own_cloud, {"ml.m5.large for endpoint usage": 2})
    first, second = own_cloud.serving(), own_cloud.config(own_cloud.model())
    for config in (second, own_cloud.config(own_cloud.model())):
        own_cloud.sagemaker.update_endpoint(EndpointName=first, EndpointConfigName=config)
        assert own_cloud.settled(first)["EndpointConfigName"] == config
    own_cloud.serving()
    sentence = SENTENCE.format(use="endpoint usage", limit=2, used=2, delta=1)
    with refused("ResourceLimitExceeded", sentence):
        own_cloud.sagemaker.update_endpoint(EndpointName=first, EndpointConfigName=second)
    assert own_cloud.settled(first)["EndpointStatus"] == "InService"


def test_what_fails_or_is_deleted_gives_its_machines_back(own_cloud: Cloud) -> None:
    restarted(own_cloud, {"ml.m5.large for endpoint usage": 1})
    failed = own_cloud.endpoint(own_cloud.model(STAND_IN_EXIT="1"))
    assert own_cloud.settled(failed)["EndpointStatus"] == "Failed"
    one = own_cloud.serving()
    own_cloud.sagemaker.delete_endpoint(EndpointName=one)
    until(lambda: one not in endpoints(own_cloud))
    assert own_cloud.settled(own_cloud.serving())["EndpointStatus"] == "InService"


def test_an_endpoint_counts_again_after_a_restart(own_cloud: Cloud) -> None:
    own_cloud.serving()
    restarted(own_cloud, {"ml.m5.large for endpoint usage": 1})
    with refused("ResourceLimitExceeded", "current utilization of 1 Instances"):
        own_cloud.endpoint(own_cloud.model())


def endpoints(cloud: Cloud) -> set[str]:
    return {each["EndpointName"] for each in cloud.sagemaker.list_endpoints()["Endpoints"]}


@pytest.mark.parametrize("operation", ["list_service_quotas", "list_aws_default_service_quotas"])
def test_service_quotas_shows_what_is_held(cloud: Cloud, operation: str) -> None:
    session = boto3.Session("test", "test", region_name="us-east-1")
    client = session.client("service-quotas", endpoint_url=cloud.server.url)
    pages = client.get_paginator(operation).paginate(  # type: ignore[call-overload]
        ServiceCode="sagemaker"
    )
    values = {quota["QuotaName"]: quota["Value"] for page in pages for quota in page["Quotas"]}
    assert values["ml.m5.xlarge for endpoint usage"] == 1000
    assert values["ml.m5.xlarge for transform job usage"] == 2
    assert values["ml.m5.xlarge for training job usage"] == 2
    assert values["ml.m5.xlarge for spot training job usage"] == 1
    with refused("NoSuchResourceException"):
        client.list_service_quotas(ServiceCode="nothing")
    builds = client.list_service_quotas(ServiceCode="codebuild")["Quotas"]
    assert BUILDS in {quota["QuotaName"] for quota in builds}
