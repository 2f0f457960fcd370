"""Bringing a stage's endpoint up with a model, whatever state it is in, as on AWS."""

import itertools

import pytest

from infra.models.endpoint import EndpointError, ensure_endpoint
from infra.stage import Stage
from tests.contract.local_sagemaker.support.alarm import Alarm
from tests.contract.local_sagemaker.support.cloud import Cloud
from tests.stand_in.answers import label_of

_numbers = itertools.count(1)
KEY = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"


class Undeployed(Stage):
    """A stage without stacks; nobody asks CloudFormation for its key."""

    key: str | None = None

    def kms_key(self) -> str | None:
        return self.key

    def is_endpoint_alarm_ringing(self) -> bool:
        return False


class Encrypted(Undeployed):
    key = KEY


@pytest.fixture
def stage(aws: str) -> Stage:
    stage = Undeployed(f"s{next(_numbers)}")
    Alarm(aws, stage.endpoint_alarm).becomes("OK")
    return stage


@pytest.mark.parametrize(("kind", "key"), [(Undeployed, None), (Encrypted, KEY)])
def test_the_machines_disks_are_under_the_stages_key(
    cloud: Cloud, kind: type[Undeployed], key: str | None
) -> None:
    stage, model = kind(f"s{next(_numbers)}"), cloud.model()
    ensure_endpoint(cloud.sagemaker, stage, model)
    seen = cloud.sagemaker.describe_endpoint_config(EndpointConfigName=model)
    assert seen.get("KmsKeyId") == key


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
