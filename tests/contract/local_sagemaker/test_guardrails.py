"""An update bakes, an alarm undoes it; AWS throttles, lacks capacity and fails by itself."""

from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
import pytest

from infra.local.sagemaker.core.listing import ASCENDING, BY_NAME
from infra.local.sagemaker.core.resources import KINDS, TRIAL
from tests.contract.local_sagemaker.support.alarm import Alarm
from tests.contract.local_sagemaker.support.cloud import Cloud, refused
from tests.contract.local_sagemaker.support.patience import until
from tests.contract.local_sagemaker.support.server import QUOTAS

ALARM = "sortbox-local-endpoint-errors"
GUARDED: Mapping[str, Any] = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300},
        "TerminationWaitInSeconds": 0,
        "MaximumExecutionTimeoutInSeconds": 3600,
    },
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": ALARM}]},
}


@pytest.fixture
def alarm(aws: str) -> Iterator[Alarm]:
    alarm = Alarm(aws, ALARM)
    alarm.becomes("OK")
    yield alarm
    alarm.delete()


def updated(cloud: Cloud, endpoint: str, model: str) -> str:
    config = cloud.config(model)
    cloud.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=config,
        DeploymentConfig=GUARDED,  # type: ignore[arg-type]
    )
    return config


def container(cloud: Cloud, endpoint: str) -> str:
    body = cloud.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x")["Body"].read()
    return "after" if b'"after"' in body else "before"


def test_an_update_stays_where_no_alarm_rings(cloud: Cloud, alarm: Alarm) -> None:
    endpoint = cloud.serving(SORTBOX_CONTAINER="before")
    config = updated(cloud, endpoint, cloud.model(SORTBOX_CONTAINER="after"))
    state = cloud.settled(endpoint)
    assert (state["EndpointConfigName"], state.get("FailureReason")) == (config, None)
    assert container(cloud, endpoint) == "after"


def test_an_alarm_that_rings_undoes_the_update(cloud: Cloud, alarm: Alarm) -> None:
    """The new fleet answers while the update bakes, then the old one does again."""
    endpoint = cloud.serving(SORTBOX_CONTAINER="before")
    before = cloud.settled(endpoint)["EndpointConfigName"]
    updated(cloud, endpoint, cloud.model(SORTBOX_CONTAINER="after"))
    until(lambda: container(cloud, endpoint) == "after")
    alarm.becomes("ALARM")
    state = cloud.settled(endpoint)
    assert (state["EndpointStatus"], state["EndpointConfigName"]) == ("InService", before)
    assert ALARM in state["FailureReason"]
    assert container(cloud, endpoint) == "before"


@pytest.mark.usefixtures("alarm")
def test_an_alarm_that_rings_already_undoes_it_too(cloud: Cloud, alarm: Alarm) -> None:
    alarm.becomes("ALARM")
    endpoint = cloud.serving(SORTBOX_CONTAINER="before")
    before = cloud.settled(endpoint)["EndpointConfigName"]
    updated(cloud, endpoint, cloud.model(SORTBOX_CONTAINER="after"))
    assert cloud.settled(endpoint)["EndpointConfigName"] == before


def test_an_alarm_that_does_not_exist_undoes_the_update(cloud: Cloud) -> None:
    endpoint = cloud.serving()
    before = cloud.settled(endpoint)["EndpointConfigName"]
    updated(cloud, endpoint, cloud.model())
    state = cloud.settled(endpoint)
    assert (state["EndpointConfigName"], ALARM in state["FailureReason"]) == (before, True)


def test_both_fleets_count_while_an_update_bakes(own_cloud: Cloud, alarm: Alarm) -> None:
    own_cloud.server.stop()
    own_cloud.server.allow({"ml.m5.large for endpoint usage": 2, **QUOTAS})
    own_cloud.server.start()
    endpoint = own_cloud.serving(SORTBOX_CONTAINER="before")
    updated(own_cloud, endpoint, own_cloud.model(SORTBOX_CONTAINER="after"))
    until(lambda: container(own_cloud, endpoint) == "after")
    with refused("ResourceLimitExceeded", "current utilization of 2 Instances"):
        own_cloud.endpoint(own_cloud.model())
    own_cloud.settled(endpoint)
    assert own_cloud.settled(own_cloud.endpoint(own_cloud.model()))["EndpointStatus"] == "InService"


def test_too_many_looks_in_a_second_are_throttled(own_cloud: Cloud) -> None:
    own_cloud.server.stop()
    own_cloud.server.allow(QUOTAS, {"Describe*": 0.01, "List*": 0.01})
    own_cloud.server.start()
    own_cloud.sagemaker.list_models()
    with refused("ThrottlingException", "Rate exceeded"):
        own_cloud.sagemaker.list_models()
    own_cloud.sagemaker.list_endpoints()


@pytest.mark.parametrize("failure", ["CapacityError", "InternalServerError"])
def test_jobs_fail_for_aws_own_reasons_where_that_is_planted(
    own_cloud: Cloud, failure: str
) -> None:
    folder, images = own_cloud.images(1)
    source, model = own_cloud.manifest(folder, images), own_cloud.model()
    own_cloud.server.plant("TransformJob", failure)
    ended = own_cloud.finished(own_cloud.transform(source, model))
    assert ended["TransformJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith(f"{failure}: ")
    after = own_cloud.finished(own_cloud.transform(source, model))
    assert after["TransformJobStatus"] == "Completed"
    own_cloud.server.plant("TrainingJob", failure)
    job = own_cloud.trained(own_cloud.training())
    assert job["FailureReason"].startswith(f"{failure}: ")


def test_lists_begin_as_the_reference_says() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    for kind in (*KINDS, TRIAL):
        of_a_search = "ListTrainingJobsForHyperParameterTuningJob"
        operation = of_a_search if kind is TRIAL else f"List{kind.noun}s"
        members = model.operation_model(operation).input_shape.members  # type: ignore[union-attr]
        order = "Ascending" if kind.noun in ASCENDING else "Descending"
        assert f"<code>{order}</code>" in members["SortOrder"].documentation, operation
        by = "Name" if kind in BY_NAME else "CreationTime"
        assert f"<code>{by}</code>" in members["SortBy"].documentation, operation
