"""Deploy a stage: first the stack with its data, then the stack with its functions.

All stages, including the local cloud's, are deployed by this code. Only environment variables
select the account, as for any AWS tool.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.exceptions import ClientError, NoRegionError, WaiterError

from aws.errors import is_limit, is_missing, is_unchanged
from domain.errors import SortboxError
from domain.foreign import visible
from domain.instance import check_transform
from infra import interrupt, quotas, shipped
from infra.endpoint_settings import EndpointSettings, keep_deployed
from infra.setup import node
from infra.stacks import bundle, log_groups, queue_names, stage_parameters
from infra.stage import KMS_KEY, NO_KEY, Stage, outputs

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import StackEventTypeDef

STORAGE_TEMPLATE = shipped.REPOSITORY / "infra" / "stacks" / "storage.yml"
WaiterState = Literal["stack_create_complete", "stack_update_complete", "stack_delete_complete"]
POLL_SECONDS = 1
TIMEOUT_SECONDS = 900


NO_SETTINGS: Mapping[str, object] = {}


class DeployError(SortboxError):
    """The deployment failed; the message is for the user."""


def deploy(stage: Stage, settings: Mapping[str, object] = NO_SETTINGS) -> EndpointSettings:
    """Deploy both stacks; idempotent. Returns how the stage is to answer singles, which
    `infra.models.activate.follow_settings` puts into effect.

    `settings` override `params` of serverless.yml for this deployment. Raises DeployError,
    ParameterError, EndpointSettingsError, UnfitInstanceError, NodeError or BundleError.
    """
    params = stage_parameters.params(shipped.REPOSITORY / "serverless.yml", stage.name)
    stage_parameters.check({**params, **settings})
    check_transform(str({**params, **settings}["transformInstanceType"]))
    bundle.build(bundle.BUNDLE)
    region = check_credentials()
    cloudformation = boto3.client("cloudformation")
    requested = None if "kmsKey" not in settings else str(settings["kmsKey"])
    written = str(params.get("kmsKey", NO_KEY))
    key = kms_key(requested, written, deployed_key(cloudformation, stage), region)
    keep_days = int({**params, **settings}["inboxKeepDays"])
    deployed = outputs(stage.stack, cloudformation)
    before = None if deployed is None else EndpointSettings.parse(deployed)
    endpoint = keep_deployed(settings, params, before)
    answers = expired_answers(settings, params, deployed or {})
    values = {**settings, **asdict(endpoint), "expiredAnswers": answers, "kmsKey": key}
    parameters = [f"--param={name}={value}" for name, value in values.items()]
    command = node.osls("deploy", "--stage", stage.name, *parameters)
    if key != NO_KEY:
        _say(f"encrypted by {key}")
    for stack in (stage.storage_stack, stage.stack):
        if updatable_status(cloudformation, stack) is None:
            queue_names.wait_until_free(cloudformation, stack, _say)
    _say(f"{stage.storage_stack}: {deploy_storage(stage, cloudformation, key, keep_days)}")
    environment = node.environment() | {"SORTBOX_BUCKET": stage.bucket, "AWS_REGION": region}
    goes_on = f"CloudFormation goes on with stack {stage.stack}, if it has begun"
    interrupt.leaves("stack", f"{goes_on}; the same command completes it.")
    with node.alone():
        done = subprocess.run(command, cwd=shipped.REPOSITORY, env=environment, check=False)
    if done.returncode != 0:
        raise DeployError(f"osls ended with status {done.returncode}; what it said is above")
    try:
        log_groups.bound(boto3.client("logs"), stage)
    except ClientError as error:
        raise DeployError(
            f"deployed, but SageMaker's logs will be kept forever: {error}"
        ) from error
    return endpoint


def kms_key(requested: str | None, written: str, deployed: str, region: str) -> str:
    """The key's ARN, or `none`: the `requested` one, else that of serverless.yml, else the deployed
    one.

    A deployment that omits the key therefore does not remove it. Raises DeployError.
    """
    key = requested or (written if written != NO_KEY else deployed)
    if key == NO_KEY:
        return key
    form = KMS_KEY.fullmatch(key)
    if form is None:
        raise DeployError(
            f"kmsKey is a key's ARN, arn:aws:kms:{region}:…:key/…, or none, not {key!r}; an alias "
            "would not do, because roles name the key itself"
        )
    if form["region"] != region:
        raise DeployError(f"the key is in {form['region']} and the stage in {region}")
    return key


def deployed_key(cloudformation: "CloudFormationClient", stage: Stage) -> str:
    if status_of(cloudformation, stage.storage_stack) is None:
        return NO_KEY
    [stack] = cloudformation.describe_stacks(StackName=stage.storage_stack)["Stacks"]
    parameters = {
        item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])
    }
    return parameters.get("KmsKey", NO_KEY)


def expired_answers(
    requested: Mapping[str, object], written: Mapping[str, Any], deployed: Mapping[str, str]
) -> str:
    """As `requested`; else `keep` if serverless.yml or the deployed stack has it.

    A deployment that forgot it would have the next reclassification delete every kept answer.
    """
    name = "expiredAnswers"
    is_kept = "keep" in (written.get(name), deployed.get(name))
    return str(requested.get(name, "keep" if is_kept else "remove"))


def check_credentials() -> str:
    """Print the identity that will deploy; returns the region. Raises NoRegionError, and what
    boto3 raises of credentials, a network or rights: the command line has a sentence for each.
    """
    session = boto3.Session()
    if session.region_name is None:
        raise NoRegionError
    account = session.client("sts").get_caller_identity()["Account"]
    _say(f"account {account}, region {session.region_name}")
    return session.region_name


def deploy_storage(
    stage: Stage, cloudformation: "CloudFormationClient", key: str = NO_KEY, keep_days: int = 0
) -> str:
    """Deploy the storage stack; returns one word for what was done. Raises DeployError with
    CloudFormation's reasons.
    """
    name, status = stage.storage_stack, updatable_status(cloudformation, stage.storage_stack)
    try:
        if status is None:
            _write(cloudformation.create_stack, stage, key, keep_days)
            wait_for(cloudformation, "stack_create_complete", name)
            return "created"
        _write(cloudformation.update_stack, stage, key, keep_days)
    except ClientError as error:
        if is_unchanged(error):
            return "unchanged"
        if is_limit(error):
            raise DeployError(quotas.refusal(error)) from error
        raise DeployError(f"{name}: {error}") from error
    wait_for(cloudformation, "stack_update_complete", name)
    return "updated"


def _write(create_or_update: Callable[..., object], stage: Stage, key: str, keep_days: int) -> None:
    create_or_update(
        StackName=stage.storage_stack,
        TemplateBody=STORAGE_TEMPLATE.read_text(),
        Parameters=[
            {"ParameterKey": "Stage", "ParameterValue": stage.name},
            {"ParameterKey": "KmsKey", "ParameterValue": key},
            {"ParameterKey": "InboxKeepDays", "ParameterValue": str(keep_days)},
        ],
        Tags=stage.tags,
    )


def status_of(cloudformation: "CloudFormationClient", stack: str) -> str | None:
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if not is_missing(error):
            raise
        return None


def updatable_status(cloudformation: "CloudFormationClient", stack: str) -> str | None:
    """The status of a stack that can be updated now; None if it must be created.

    A stack whose first creation failed is deleted, because CloudFormation cannot update a stack in
    ROLLBACK_COMPLETE. Raises DeployError if an operation on the stack is in progress.
    """
    status = status_of(cloudformation, stack)
    if status == "ROLLBACK_COMPLETE":
        cloudformation.delete_stack(StackName=stack)
        wait_for(cloudformation, "stack_delete_complete", stack)
        return None
    if status is not None and status.endswith("_IN_PROGRESS"):
        raise DeployError(
            f"{stack} is {status}: another change of it has not ended. Wait for it, for some "
            "minutes, and run the command again."
        )
    return status


def wait_for(cloudformation: "CloudFormationClient", state: WaiterState, stack: str) -> None:
    waiter = cloudformation.get_waiter(state)
    goes_on = f"CloudFormation goes on with stack {stack}"
    interrupt.leaves("stack", f"{goes_on}; once it has ended, run the same command again.")
    try:
        waiter.wait(
            StackName=stack,
            WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": TIMEOUT_SECONDS // POLL_SECONDS},
        )
    except WaiterError as error:
        reasons = _reasons(cloudformation, stack)
        raise DeployError(f"{stack} failed:\n{reasons}{quotas.advice(reasons)}") from error


def _reasons(cloudformation: "CloudFormationClient", stack: str) -> str:
    """The failures of the latest operation. CloudFormation returns the newest events first, a
    hundred per page; a rollback alone may fill a page.
    """
    failed = []
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack):
        for event in page["StackEvents"]:
            if event.get("ResourceStatus", "").endswith("_FAILED"):
                failed.append(event)
            if _is_start(event, stack):
                return _listed(failed)
    return _listed(failed)


def _is_start(event: "StackEventTypeDef", stack: str) -> bool:
    """Whether this event is the start of an operation that a user requested."""
    return event.get("LogicalResourceId") == stack and event.get("ResourceStatus") in (
        "CREATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "DELETE_IN_PROGRESS",
    )


def _listed(failed: "Sequence[StackEventTypeDef]") -> str:
    return "\n".join(
        f"  {event.get('LogicalResourceId')}: {event.get('ResourceStatusReason')}"
        for event in reversed(failed)
    )


def _say(sentence: str) -> None:
    print(visible(sentence), flush=True)


if __name__ == "__main__":  # the local cloud deploys in a separate process
    try:
        deploy(Stage(sys.argv[1]))
    except SortboxError as error:
        sys.exit(str(error))
