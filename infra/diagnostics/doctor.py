"""Is everything there that a stage needs, and what will it cost?

It asks and changes nothing. What cannot be asked is said to be
unchecked, and never fine.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from aws import active_model
from aws.errors import is_missing
from domain import keys
from domain.instance import has_local_storage
from infra.diagnostics.cost import load_prices
from infra.stacks import image
from infra.stage import Stage, StageError

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient
    from types_boto3_service_quotas import ServiceQuotasClient

State = Literal["ok", "missing", "not checked", "note"]

HOURS_A_MONTH = 730


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    state: State
    sentence: str


@dataclass(frozen=True, slots=True)
class Patient:
    stage: Stage
    image: str | None
    """As it was given; else it is looked up in ECR."""
    client: Callable[[str], Any]


def findings(patient: Patient) -> Iterator[Finding]:
    """One a check; a check that AWS does not answer says so itself."""
    for about, check in CHECKS.items():
        try:
            yield from check(patient)
        except StageError as error:
            yield Finding(about, "missing", str(error))
        except (ClientError, BotoCoreError) as error:
            yield Finding(about, "not checked", f"AWS does not say: {error}")


def _credentials(patient: Patient) -> Iterator[Finding]:
    sts = patient.client("sts")
    found = sts.get_caller_identity()
    sentence = f"account {found['Account']} as {found['Arn']}, region {sts.meta.region_name}"
    yield Finding("credentials", "ok", sentence)


def _bucket(patient: Patient) -> Iterator[Finding]:
    yield Finding("bucket", "ok", f"{patient.stage.bucket} is there")


def _key(patient: Patient) -> Iterator[Finding]:
    """Is the customer's own key there, and does it let in who has to use it?"""
    arn = patient.stage.kms_key()
    if arn is None:
        yield Finding("key", "note", "no key of your own: AWS's keys encrypt what the stage holds")
        return
    kms = patient.client("kms")
    found = kms.describe_key(KeyId=arn)["KeyMetadata"]
    if (found["KeyState"], found["KeySpec"]) != ("Enabled", "SYMMETRIC_DEFAULT"):
        sentence = f"{arn} is {found['KeyState']} and {found['KeySpec']}; nothing can be read or "
        yield Finding("key", "missing", f"{sentence}written without an enabled symmetric key")
        return
    yield Finding("key", "ok", f"{arn} is enabled")
    region = arn.split(":")[3]
    services = ("s3.amazonaws.com", "events.amazonaws.com", f"logs.{region}.amazonaws.com")
    policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    let_in = {
        service
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow" and isinstance(statement["Principal"], dict)
        for service in _many(statement["Principal"].get("Service", []))
    }
    for service in services:
        if service not in let_in:
            sentence = f"the key's policy names no {service}: its messages or logs are refused"
            yield Finding("key", "missing", f"{sentence}; infra/stacks/key.yml has the statement")


def _many(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def _roles(patient: Patient) -> Iterator[Finding]:
    iam: IAMClient = patient.client("iam")
    for what, arn in (
        ("the model's container", patient.stage.model_role()),
        ("training jobs", patient.stage.training_role()),
    ):
        role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
        trusted = "sagemaker.amazonaws.com" in str(role["AssumeRolePolicyDocument"])
        says = "and SageMaker may wear it" if trusted else "but SageMaker may not wear it"
        state: State = "ok" if trusted else "missing"
        yield Finding("role", state, f"{role['RoleName']} is there for {what}, {says}")


def _image(patient: Patient) -> Iterator[Finding]:
    if patient.image is not None:
        yield Finding("image", "note", f"{patient.image}, as it was given")
        return
    name = image.tag(image.context(), "cpu")
    uri = image.find(patient.client("ecr"), name)
    if uri is None:
        sentence = (
            f"ECR has no sortbox:{name}: `./sortbox image --stage {patient.stage.name}` builds it"
        )
        yield Finding("image", "missing", sentence)
    else:
        yield Finding("image", "ok", f"{uri} is these sources")


def _weights(patient: Patient) -> Iterator[Finding]:
    yield Finding("weights", "ok", "EfficientNet-Lite0's are in the image")
    found = patient.client("s3").list_objects_v2(
        Bucket=patient.stage.bucket, Prefix=f"{keys.TRAINING}weights/", MaxKeys=10
    )
    names = [each["Key"].rpartition("/")[2] for each in found.get("Contents", [])]
    others = f"in the bucket: {', '.join(names)}" if names else "none are in the bucket"
    yield Finding(
        "weights",
        "note",
        f"for other networks {others}; `train --weights file.pth` uploads some, and a job that "
        "reaches the network downloads torchvision's",
    )


ENDPOINT_MACHINES = 2
"""An update brings a second machine up before the first goes."""


def _quotas(patient: Patient) -> Iterator[Finding]:
    """AWS names a quota by instance type and use; a new account has none of many types."""
    client: ServiceQuotasClient = patient.client("service-quotas")
    kind = patient.stage.endpoint_instance_type
    wanted = {
        f"{kind} for endpoint usage": ENDPOINT_MACHINES,
        f"{kind} for training job usage": 1,
        f"{kind} for transform job usage": 1,
    }
    applied = _values(client, "list_service_quotas", set(wanted))
    absent = set(wanted) - set(applied)  # no value was ever applied to these: the default one holds
    default = _values(client, "list_aws_default_service_quotas", absent) if absent else {}
    for name, least in wanted.items():
        value = applied.get(name, default.get(name, 0))
        if value >= least:
            yield Finding("quota", "ok", f"{name} is {value:g}")
            continue
        why = ", and an update takes two machines" if least > 1 else ""
        sentence = f"{name} is {value:g} and has to be {least}{why}: ask for it in Service Quotas"
        yield Finding("quota", "missing", f"{sentence}, it takes a day or two")


def _values(
    client: "ServiceQuotasClient",
    operation: Literal["list_service_quotas", "list_aws_default_service_quotas"],
    wanted: set[str],
) -> dict[str, float]:
    paginator: Any = client.get_paginator(operation)  # the two answer alike
    return {
        quota["QuotaName"]: quota["Value"]
        for page in paginator.paginate(ServiceCode="sagemaker")
        for quota in page["Quotas"]
        if quota["QuotaName"] in wanted
    }


def _concurrency(patient: Patient) -> Iterator[Finding]:
    """A function that gets no turn leaves its message invisible for up to 40 minutes."""
    functions = patient.client("lambda")
    limit = functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    wanted = 1  # onSchedule
    for page in functions.get_paginator("list_event_source_mappings").paginate():
        for mapping in page["EventSourceMappings"]:
            name = mapping["FunctionArn"].rpartition(":")[2]
            if name.startswith(patient.stage.prefix):
                wanted += mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 0)
    sentence = f"the account's functions may run {limit} at once, and this stage's up to {wanted}"
    if wanted <= limit:
        yield Finding("concurrency", "ok", sentence)
    else:
        advice = "lower uploadConcurrency, backlogConcurrency, folderConcurrency, pageConcurrency"
        yield Finding("concurrency", "missing", f"{sentence}: {advice}, or ask in Service Quotas")


def _model(patient: Patient) -> Iterator[Finding]:
    active = active_model.read(patient.client("s3"), patient.stage.bucket).active
    if active is None:
        yield Finding(
            "model", "missing", "none is active: `./sortbox train`, then `./sortbox promote`"
        )
        return
    yield Finding("model", "ok", f"{active.id.name}:{active.id.version} is active")


def _endpoint(patient: Patient) -> Iterator[Finding]:
    name, kind = patient.stage.endpoint, patient.stage.endpoint_instance_type
    try:
        found = patient.client("sagemaker").describe_endpoint(EndpointName=name)
        state = found["EndpointStatus"]
        reason = found.get("FailureReason", "")
        sentence = f"{name} is {state}{f': {reason}' if reason else ''}"
        yield Finding("endpoint", "ok" if state == "InService" else "missing", sentence)
    except ClientError as error:
        if not is_missing(error):
            raise
        yield Finding("endpoint", "note", f"{name} is not there yet; the first promotion makes it")
    table = load_prices()
    month = table.hour(kind) * HOURS_A_MONTH
    yield Finding(
        "cost",
        "note",
        f"an endpoint on one {kind} costs {table.currency} {month:,.0f} a month, around the clock, "
        f"until `./sortbox remove` ({table.source})",
    )


def _disks(patient: Patient) -> Iterator[Finding]:
    """An endpoint keeps the key, or the lack of one, that it came up with."""
    key = patient.stage.kms_key()
    if key is None or has_local_storage(patient.stage.endpoint_instance_type):
        return
    sagemaker, name = patient.client("sagemaker"), patient.stage.endpoint
    try:
        config = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    except ClientError as error:
        if not is_missing(error):
            raise
        return
    found = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    if found.get("KmsKeyId") == key:
        yield Finding("disks", "ok", f"the disks of {name}'s machine are under the stage's key")
    else:
        sentence = f"the disks of {name}'s machine are not under the stage's key"
        yield Finding("disks", "note", f"{sentence}; the next promotion puts them there")


CHECKS: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "credentials": _credentials,
    "bucket": _bucket,
    "key": _key,
    "role": _roles,
    "image": _image,
    "weights": _weights,
    "quota": _quotas,
    "concurrency": _concurrency,
    "model": _model,
    "endpoint": _endpoint,
    "disks": _disks,
}
