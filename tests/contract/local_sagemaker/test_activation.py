"""Bringing a stage's endpoint up with a model, whatever state it is in, as on AWS."""

import itertools

import pytest

from infra.endpoint import EndpointError, ensure_endpoint
from infra.stage import Stage
from tests.contract.local_sagemaker.cloud import Cloud
from tests.stand_in.answers import label_of

_numbers = itertools.count(1)


@pytest.fixture
def stage() -> Stage:
    return Stage(f"s{next(_numbers)}")


def test_an_endpoint_is_made_and_then_updated_with_an_alarm_to_undo_it(
    cloud: Cloud, stage: Stage
) -> None:
    ensure_endpoint(cloud.sagemaker, stage, cloud.model())
    second = cloud.model()
    ensure_endpoint(cloud.sagemaker, stage, second)
    ensure_endpoint(cloud.sagemaker, stage, second)
    seen = cloud.sagemaker.describe_endpoint(EndpointName=stage.endpoint)
    assert seen["EndpointConfigName"] == second
    policy = seen["LastDeploymentConfig"]
    assert policy["AutoRollbackConfiguration"]["Alarms"] == [{"AlarmName": stage.endpoint_alarm}]
    assert cloud.label(stage.endpoint, b"x") == label_of(b"x")


def test_a_model_that_does_not_come_up_leaves_the_one_before_answering(
    cloud: Cloud, stage: Stage
) -> None:
    ensure_endpoint(cloud.sagemaker, stage, cloud.model())
    with pytest.raises(EndpointError, match=r"still runs the model before: .* exited with"):
        ensure_endpoint(cloud.sagemaker, stage, cloud.model(STAND_IN_EXIT="1"))
    assert cloud.label(stage.endpoint, b"x") == label_of(b"x")


def test_a_failed_endpoint_which_nobody_can_update_is_made_anew(cloud: Cloud, stage: Stage) -> None:
    with pytest.raises(EndpointError, match="did not come into service"):
        ensure_endpoint(cloud.sagemaker, stage, cloud.model(STAND_IN_EXIT="1"))
    ensure_endpoint(cloud.sagemaker, stage, cloud.model())
    assert cloud.label(stage.endpoint, b"x") == label_of(b"x")


def test_an_endpoint_that_is_changing_is_left_alone(cloud: Cloud, stage: Stage) -> None:
    ensure_endpoint(cloud.sagemaker, stage, cloud.model())
    slow = cloud.config(cloud.model(STAND_IN_UNREADY="true"))
    cloud.sagemaker.update_endpoint(EndpointName=stage.endpoint, EndpointConfigName=slow)
    with pytest.raises(EndpointError, match="is Updating: try again when it has settled"):
        ensure_endpoint(cloud.sagemaker, stage, cloud.model())
