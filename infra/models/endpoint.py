"""A stage's endpoint: the SageMaker model behind it, and updates that lose no call."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, WaiterError

from aws.errors import is_limit, is_missing
from domain.errors import SortboxError
from domain.instance import has_gpu, has_local_storage
from infra import interrupt, quotas
from infra.endpoint_settings import ON_AN_INSTANCE, EndpointSettings
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sagemaker.literals import ProductionVariantInferenceAmiVersionType
    from types_boto3_sagemaker.type_defs import (
        CreateEndpointConfigInputTypeDef,
        DeploymentConfigTypeDef,
        ProductionVariantServerlessConfigTypeDef,
        ProductionVariantTypeDef,
        WaiterConfigTypeDef,
    )

POLL_SECONDS = 2
TIMEOUT_SECONDS = 3600
WAITER_CONFIG: "WaiterConfigTypeDef" = {
    "Delay": POLL_SECONDS,
    "MaxAttempts": TIMEOUT_SECONDS // POLL_SECONDS,
}
BAKE_SECONDS = 300
"""How long the new fleet answers everything before the old one is deleted: an alarm's period."""

VARIANT = "active"

GPU_AMI: "ProductionVariantInferenceAmiVersionType" = "al2023-ami-sagemaker-inference-gpu-4-1"
"""The only AMI with driver 580, which the image's CUDA 13 needs (botocore's model,
ProductionVariant.InferenceAmiVersion). By default SageMaker uses an AMI with an older driver."""


class EndpointError(SortboxError):
    """The endpoint is not in service with the requested configuration; the message says why."""


class EndpointFailedError(EndpointError):
    """The endpoint failed with the requested configuration, or was rolled back from it."""


@dataclass(frozen=True, slots=True)
class ModelContainer:
    """What a SageMaker model runs. `data`: the archive's S3 URI. `is_isolated`: it reaches no
    network. A serverless endpoint takes no isolated model (developer guide, feature exclusions of
    Serverless Inference).
    """

    image: str
    data: str
    environment: dict[str, str]
    is_isolated: bool = True


def ensure_model(
    sagemaker: "SageMakerClient", stage: Stage, name: str, container: ModelContainer
) -> None:
    if _exists(lambda: sagemaker.describe_model(ModelName=name)):
        return
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={
            "Image": container.image,
            "ModelDataUrl": container.data,
            "Environment": container.environment,
        },
        ExecutionRoleArn=stage.model_role(),
        EnableNetworkIsolation=container.is_isolated,  # SageMaker itself transfers data
        Tags=stage.tags,
    )


def ensure_endpoint(
    sagemaker: "SageMakerClient",
    stage: Stage,
    config: str,
    settings: EndpointSettings = ON_AN_INSTANCE,
) -> None:
    """Bring the endpoint of the mode into service with `config`, the name of its configuration and
    its model, whether it exists or not, and after an interrupted activation.

    Raises EndpointFailedError if it does not work with `config`, and EndpointError if something
    else is in the way: another update, or a quota that is too small. The model and the
    configuration are then kept, and the call can be repeated.
    """
    if not _exists(lambda: sagemaker.describe_endpoint_config(EndpointConfigName=config)):
        sagemaker.create_endpoint_config(**_config(stage, config, settings))
    name = stage.endpoint_names[settings.endpoint]
    status = _settled(sagemaker, name)
    before = None
    if status == "InService":
        before = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    goes_on = f"Endpoint {name} goes on with its change to {config}; the same command completes it."
    try:
        if status is None:
            interrupt.leaves("endpoint", goes_on)
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=stage.tags)
        elif status != "InService":
            raise EndpointError(f"endpoint {name} is {status}: try again when it has settled")
        elif before != config:
            interrupt.leaves("endpoint", goes_on)
            sagemaker.update_endpoint(
                EndpointName=name, EndpointConfigName=config, DeploymentConfig=_blue_green(stage)
            )
    except ClientError as error:
        if not is_limit(error):
            raise
        raise EndpointError(quotas.refusal(error)) from error
    _wait(sagemaker, name, config, before)


def delete_other_endpoints(
    sagemaker: "SageMakerClient", stage: Stage, settings: EndpointSettings
) -> None:
    """Delete the endpoints of the other modes, which bill though nothing asks them. SageMaker goes
    on with the deletion by itself. Raises EndpointError.
    """
    for mode, name in stage.endpoint_names.items():
        if mode == settings.endpoint or _settled(sagemaker, name) is None:
            continue
        try:
            sagemaker.delete_endpoint(EndpointName=name)
        except ClientError as error:
            if not is_missing(error):
                raise EndpointError(f"endpoint {name} could not be deleted: {error}") from error


def _config(
    stage: Stage, name: str, settings: EndpointSettings
) -> "CreateEndpointConfigInputTypeDef":
    if settings.endpoint == "serverless":
        return _serverless_config(stage, name, settings)
    variant: ProductionVariantTypeDef = {
        "VariantName": VARIANT,
        "ModelName": name,
        "InstanceType": stage.endpoint_instance_type,
        "InitialInstanceCount": 1,
    }
    if has_gpu(stage.endpoint_instance_type):
        variant["InferenceAmiVersion"] = GPU_AMI
    request: CreateEndpointConfigInputTypeDef = {
        "EndpointConfigName": name,
        "ProductionVariants": [variant],
        "Tags": stage.tags,
    }
    key = stage.kms_key()
    if key is not None and not has_local_storage(stage.endpoint_instance_type):
        request["KmsKeyId"] = key
    return request


def _serverless_config(
    stage: Stage, name: str, settings: EndpointSettings
) -> "CreateEndpointConfigInputTypeDef":
    """It has no instance, no disks of its own, and so no key for them."""
    serverless: ProductionVariantServerlessConfigTypeDef = {
        "MemorySizeInMB": settings.serverlessMemoryMb,
        "MaxConcurrency": settings.serverlessConcurrency,
    }
    if settings.serverlessProvisioned:
        serverless["ProvisionedConcurrency"] = settings.serverlessProvisioned
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [
            {"VariantName": VARIANT, "ModelName": name, "ServerlessConfig": serverless}
        ],
        "Tags": stage.tags,
    }


def _settled(sagemaker: "SageMakerClient", name: str) -> str | None:
    """The status after waiting for what SageMaker does by itself: creation, deletion, maintenance.
    A failed endpoint is deleted first.
    """
    status = _status(sagemaker, name)
    if status in ("Creating", "SystemUpdating"):
        with suppress(WaiterError):  # the endpoint failed, which its status shows
            sagemaker.get_waiter("endpoint_in_service").wait(
                EndpointName=name, WaiterConfig=WAITER_CONFIG
            )
        status = _status(sagemaker, name)
    if status == "Failed":  # SageMaker cannot update a failed endpoint
        sagemaker.delete_endpoint(EndpointName=name)
        status = "Deleting"
    if status == "Deleting":
        try:
            sagemaker.get_waiter("endpoint_deleted").wait(
                EndpointName=name, WaiterConfig=WAITER_CONFIG
            )
        except WaiterError as error:
            raise EndpointError(f"endpoint {name} is still being deleted: {error}") from error
        return None
    return status


def _status(sagemaker: "SageMakerClient", name: str) -> str | None:
    """The endpoint's status; None if it does not exist."""
    if not _exists(lambda: sagemaker.describe_endpoint(EndpointName=name)):
        return None
    return sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]


def _wait(sagemaker: "SageMakerClient", endpoint: str, config: str, before: str | None) -> None:
    """Wait until it is in service with this configuration: after a rollback it is in service with
    the one `before`, and after another's update with a third.
    """
    try:
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=endpoint,
            WaiterConfig=WAITER_CONFIG,
        )
    except WaiterError as error:
        reason = error.last_response.get("FailureReason", str(error))
        sentence = f"endpoint {endpoint} did not come into service: {reason}"
        failed = error.last_response.get("EndpointStatus") == "Failed"
        raise (EndpointFailedError if failed else EndpointError)(sentence) from error
    endpoint_state = sagemaker.describe_endpoint(EndpointName=endpoint)
    current = endpoint_state["EndpointConfigName"]
    if current == before != config:
        reason = endpoint_state.get("FailureReason", "it was rolled back")
        raise EndpointFailedError(f"endpoint {endpoint} still runs the model before: {reason}")
    if current != config:
        raise EndpointError(f"endpoint {endpoint} was updated to {current} meanwhile")


def _exists(describe: Callable[[], object]) -> bool:
    try:
        describe()
    except ClientError as error:
        if not is_missing(error):
            raise
        return False
    return True


def _blue_green(stage: Stage) -> "DeploymentConfigTypeDef":
    """Move all traffic to a new fleet at once; roll back if an alarm rings during the bake time.

    An alarm that already rings is left out: SageMaker rolls back if an alarm is in ALARM during the
    bake time, which would undo the update that is to fix the cause.
    """
    deployment: DeploymentConfigTypeDef = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "ALL_AT_ONCE",
                "WaitIntervalInSeconds": BAKE_SECONDS,
            },
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": TIMEOUT_SECONDS,
        },
    }
    if stage.is_endpoint_alarm_ringing():
        sentence = f"{stage.endpoint_alarm} rings already: this update will not be undone by it."
        print(sentence, file=sys.stderr, flush=True)
    else:
        deployment["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": stage.endpoint_alarm}]}
    return deployment
