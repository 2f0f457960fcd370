"""Check whether a stage has everything it needs, and report what it costs.

Read-only. A check that AWS refuses is reported as "not checked", never as "ok".
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from aws import active_model
from aws.errors import is_missing
from domain import keys
from domain.instance import UnfitInstanceError, check_transform, has_local_storage
from infra import quotas
from infra.diagnostics.cost import load_prices
from infra.endpoint_settings import EndpointSettings
from infra.quotas import QuotaNeed, Service, StageMachines
from infra.shipped import REPOSITORY, Variant
from infra.stacks import image, stage_parameters
from infra.stage import Stage, StageError, outputs

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient
    from types_boto3_service_quotas import ServiceQuotasClient

State = Literal["ok", "missing", "not checked", "note"]

HOURS_PER_MONTH = 730


@dataclass(frozen=True, slots=True)
class CheckResult:
    about: str
    state: State
    sentence: str


@dataclass(frozen=True, slots=True)
class CheckContext:
    stage: Stage
    image: str | None
    """The image that the user named; None to look it up in ECR."""
    client: Callable[[str], Any]


def run_checks(context: CheckContext, names: Iterable[str] | None = None) -> Iterator[CheckResult]:
    """Run all checks, or those in `names`. A check that AWS refuses results in `not checked`."""
    for about in CHECKS if names is None else names:
        try:
            yield from CHECKS[about](context)
        except StageError as error:
            yield CheckResult(about, "missing", str(error))
        except (ClientError, BotoCoreError) as error:
            yield CheckResult(about, "not checked", f"AWS refused the request: {error}")


def _credentials(context: CheckContext) -> Iterator[CheckResult]:
    sts = context.client("sts")
    identity = sts.get_caller_identity()
    sentence = f"account {identity['Account']} as {identity['Arn']}, region {sts.meta.region_name}"
    yield CheckResult("credentials", "ok", sentence)


def _bucket(context: CheckContext) -> Iterator[CheckResult]:
    yield CheckResult("bucket", "ok", f"{context.stage.bucket} is there")


def _key(context: CheckContext) -> Iterator[CheckResult]:
    """Whether the customer managed key exists and its policy admits everyone who must use it."""
    arn = context.stage.kms_key()
    if arn is None:
        yield CheckResult(
            "key", "note", "no key of your own: AWS's keys encrypt what the stage holds"
        )
        return
    kms = context.client("kms")
    metadata = kms.describe_key(KeyId=arn)["KeyMetadata"]
    if (metadata["KeyState"], metadata["KeySpec"]) != ("Enabled", "SYMMETRIC_DEFAULT"):
        sentence = (
            f"{arn} is {metadata['KeyState']} and {metadata['KeySpec']}; nothing can be read or "
        )
        yield CheckResult("key", "missing", f"{sentence}written without an enabled symmetric key")
        return
    yield CheckResult("key", "ok", f"{arn} is enabled")
    region = arn.split(":")[3]
    services = ("s3.amazonaws.com", "events.amazonaws.com", f"logs.{region}.amazonaws.com")
    policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    allowed = {
        service
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow" and isinstance(statement["Principal"], dict)
        for service in _as_list(statement["Principal"].get("Service", []))
    }
    for service in services:
        if service not in allowed:
            sentence = f"the key's policy names no {service}: its messages or logs are refused"
            yield CheckResult(
                "key", "missing", f"{sentence}; infra/stacks/key.yml has the statement"
            )


def _as_list(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def _roles(context: CheckContext) -> Iterator[CheckResult]:
    iam: IAMClient = context.client("iam")
    for what, arn in (
        ("the model's container", context.stage.model_role()),
        ("training jobs", context.stage.training_role()),
    ):
        role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
        trusted = "sagemaker.amazonaws.com" in str(role["AssumeRolePolicyDocument"])
        says = "and SageMaker can assume it" if trusted else "but SageMaker cannot assume it"
        state: State = "ok" if trusted else "missing"
        yield CheckResult("role", state, f"{role['RoleName']} exists for {what}, {says}")


IMAGES: tuple[tuple[Variant, str, State], ...] = (
    ("serve", "which serves the bundled model and models with OpenVINO files", "missing"),
    ("cpu", "which trains, and serves models without OpenVINO files", "note"),
)
"""The variant, what it is for, and the state to report if it is missing in ECR."""


def _image(context: CheckContext) -> Iterator[CheckResult]:
    if context.image is not None:
        yield CheckResult("image", "note", f"{context.image}, as it was given")
        return
    stage, ecr = context.stage.name, context.client("ecr")
    for variant, purpose, absent in IMAGES:
        name = image.tag(image.context(variant), variant)
        try:
            uri = image.find(ecr, name)
        except image.ImageError as error:
            yield CheckResult("image", "missing", str(error))
            continue
        if uri is None:
            sentence = f"ECR has no sortbox:{name}, {purpose}: `./sortbox image --stage {stage}"
            yield CheckResult("image", absent, f"{sentence} --variant {variant}` builds it")
        else:
            yield CheckResult("image", "ok", f"{uri} is these sources, {purpose}")


def _weights(context: CheckContext) -> Iterator[CheckResult]:
    yield CheckResult("weights", "ok", "EfficientNet-Lite0's, 1's and 2's are in the image")
    listing = context.client("s3").list_objects_v2(
        Bucket=context.stage.bucket, Prefix=f"{keys.TRAINING}weights/", MaxKeys=10
    )
    names = [item["Key"].rpartition("/")[2] for item in listing.get("Contents", [])]
    others = f"in the bucket: {', '.join(names)}" if names else "none are in the bucket"
    yield CheckResult(
        "weights",
        "note",
        f"for other networks {others}; `train --weights file.pth` uploads some, and a job that "
        "reaches the network downloads torchvision's",
    )


def _transform(context: CheckContext) -> Iterator[CheckResult]:
    """Whether transform jobs can run on the instance type. A deployment refuses GPUs today; an
    earlier version or another tool may have deployed one.
    """
    instance_type = _machines(context).transform_type
    try:
        check_transform(instance_type)
    except UnfitInstanceError as error:
        yield CheckResult("transform", "missing", str(error))
    else:
        yield CheckResult("transform", "ok", f"{instance_type} runs transform jobs")


def _quotas(context: CheckContext) -> Iterator[CheckResult]:
    """The quotas that the documented steps need. One request per service: a service may refuse, or
    be unavailable in the region.
    """
    client: ServiceQuotasClient = context.client("service-quotas")
    needs = quotas.needs(_machines(context))
    for service in dict.fromkeys(need.service for need in needs):
        of_service = [need for need in needs if need.service == service]
        try:
            yield from _service_quotas(client, service, of_service)
        except (ClientError, BotoCoreError) as error:
            sentence = f"AWS refused the request about {service}: {error}"
            yield CheckResult("quota", "not checked", sentence)


def _service_quotas(
    client: "ServiceQuotasClient", service: Service, needs: list[QuotaNeed]
) -> Iterator[CheckResult]:
    """Compare quotas with needs. Quotas without an applied value have the default value."""
    names = {name for need in needs for name in (need.name, *quotas.alternatives(need))}
    applied = _listed(client, "list_service_quotas", service, names)
    absent = names - set(applied)
    if absent:
        defaults = _listed(client, "list_aws_default_service_quotas", service, absent)
        applied = defaults | applied
    for need in needs:
        quota = applied.get(need.name, ListedQuota(0, None))
        sentence = f"{need.name} is {quota.value:g}, {need.step} needs {need.least}"
        if quota.value >= need.least:
            yield CheckResult("quota", "ok", sentence)
            continue
        others = [
            other
            for name, other in quotas.alternatives(need).items()
            if applied.get(name, ListedQuota(0, None)).value >= need.least
        ]
        meanwhile = f"; {' or '.join(others)} would do meanwhile" if others else ""
        state: State = "note" if need.optional else "missing"
        ask = quotas.how_to_ask(need, quota.code)
        yield CheckResult("quota", state, f"{sentence}: {ask}{meanwhile}")


def _machines(context: CheckContext) -> StageMachines:
    """The machines as deployed, from onFolder's environment; before the deployment, as in
    serverless.yml, because quotas take days and are requested first.
    """
    functions = context.client("lambda")
    name = f"{context.stage.prefix}onFolder"
    try:
        function = functions.get_function_configuration(FunctionName=name)
        settings = function["Environment"]["Variables"]
    except ClientError as error:
        if not is_missing(error):
            raise
        params = stage_parameters.params(REPOSITORY / "serverless.yml", context.stage.name)
        settings = {parameter_variable(name): value for name, value in params.items()}
    is_instance = _settings(context).endpoint == "instance"
    endpoint_type = context.stage.endpoint_instance_type if is_instance else None
    return StageMachines(
        endpoint_type=endpoint_type,
        transform_type=settings["TRANSFORM_INSTANCE_TYPE"],
        machines_per_job=int(settings["TRANSFORM_INSTANCE_COUNT"]),
        transform_jobs=int(settings["TRANSFORM_JOBS"]),
    )


def parameter_variable(name: str) -> str:
    """The environment variable of a serverless.yml parameter: `transformJobs` is TRANSFORM_JOBS."""
    return re.sub("(?<!^)(?=[A-Z])", "_", name).upper()


@dataclass(frozen=True, slots=True)
class ListedQuota:
    value: float
    code: str | None


def _listed(
    client: "ServiceQuotasClient",
    operation: Literal["list_service_quotas", "list_aws_default_service_quotas"],
    service: Service,
    names: set[str],
) -> dict[str, ListedQuota]:
    paginator: Any = client.get_paginator(operation)  # both operations respond alike
    return {
        quota["QuotaName"]: ListedQuota(quota["Value"], quota.get("QuotaCode"))
        for page in paginator.paginate(ServiceCode=service)
        for quota in page["Quotas"]
        if quota["QuotaName"] in names
    }


def _concurrency(context: CheckContext) -> Iterator[CheckResult]:
    """Whether enough functions can run concurrently. The message of a throttled function stays
    invisible for up to 40 minutes.
    """
    functions = context.client("lambda")
    limits = functions.get_account_settings()["AccountLimit"]
    everything = limits["ConcurrentExecutions"]
    limit = limits.get("UnreservedConcurrentExecutions", everything)
    needed = 1  # onSchedule
    for page in functions.get_paginator("list_event_source_mappings").paginate():
        for mapping in page["EventSourceMappings"]:
            name = mapping["FunctionArn"].rpartition(":")[2]
            if name.startswith(context.stage.prefix):
                needed += mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 0)
    sentence = f"the account's functions may run {limit} at once, and this stage's up to {needed}"
    if limit >= needed:
        yield CheckResult("concurrency", "ok", sentence)
        return
    settings = "uploadConcurrency, backlogConcurrency, folderConcurrency, pageConcurrency"
    advice = quotas.how_to_ask(quotas.functions_need(needed), None)
    yield CheckResult("concurrency", "missing", f"{sentence}: lower {settings}, or {advice}")


def _model(context: CheckContext) -> Iterator[CheckResult]:
    active = active_model.read(context.client("s3"), context.stage.bucket).active
    if active is None:
        bundled = f"`./sortbox promote --stage {context.stage.name} --bundled`"
        yield CheckResult("model", "missing", f"none is active: {bundled}, or train and promote")
        return
    yield CheckResult("model", "ok", f"{active.id.name}:{active.id.version} is active")


def _settings(context: CheckContext) -> EndpointSettings:
    """How the stage answers singles: as deployed; before the deployment, as in serverless.yml."""
    described = outputs(context.stage.stack, context.client("cloudformation"))
    if described is None:
        described = stage_parameters.params(REPOSITORY / "serverless.yml", context.stage.name)
    return EndpointSettings.parse(described)


def _endpoint(context: CheckContext) -> Iterator[CheckResult]:
    """Whether the endpoint of the deployed mode is in service, and what the mode costs idle."""
    settings, stage = _settings(context), context.stage
    name = stage.endpoint_names.get(settings.endpoint)
    if name is None:
        sentence = "the stage has no endpoint: transform jobs answer singles, gathered for a while"
        yield CheckResult("endpoint", "ok", sentence)
    else:
        yield _state_of(context, name)
    for mode, other in stage.endpoint_names.items():
        endpoint = None if mode == settings.endpoint else _describe(context, other)
        if endpoint is not None and endpoint["EndpointStatus"] != "Deleting":
            switch = f"`./sortbox endpoint --stage {stage.name} --mode {settings.endpoint}`"
            sentence = f"{other} is there as well, of mode {mode}, and the stage is deployed for "
            sentence += f"{settings.endpoint}: {switch} moves the answers and deletes it"
            yield CheckResult("endpoint", "missing", sentence)
    yield CheckResult("cost", "note", _idle_cost(context, settings))


def _state_of(context: CheckContext, name: str) -> CheckResult:
    endpoint = _describe(context, name)
    if endpoint is None:
        sentence = f"{name} is not there yet; the first promotion makes it"
        return CheckResult("endpoint", "note", sentence)
    state, reason = endpoint["EndpointStatus"], endpoint.get("FailureReason", "")
    sentence = f"{name} is {state}{f': {reason}' if reason else ''}"
    return CheckResult("endpoint", "ok" if state == "InService" else "missing", sentence)


def _describe(context: CheckContext, name: str) -> Any:
    """The endpoint; None if it does not exist."""
    try:
        return context.client("sagemaker").describe_endpoint(EndpointName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        return None


def _idle_cost(context: CheckContext, settings: EndpointSettings) -> str:
    table = load_prices()
    uncounted = "alarms, metrics, polling, builds, images and logs are not counted, a few dollars"
    if settings.endpoint == "none":
        return f"mode none costs nothing while no images arrive; a job bills its start; {uncounted}"
    if settings.endpoint == "serverless":
        warm = settings.serverlessProvisioned
        idle = "nothing while no images arrive"
        if warm:
            idle = (
                f"the hours of {warm} provisioned containers, which {table.source} has no price of"
            )
        return f"mode serverless costs {idle}; then {table.currency} " + (
            f"{table.serverless_gb_second * settings.serverlessMemoryMb / 1024:.6f} a second of "
            f"each request ({table.source}); {uncounted}"
        )
    kind = context.stage.endpoint_instance_type
    month = table.hour(kind) * HOURS_PER_MONTH
    return (
        f"an endpoint on one {kind} costs {table.currency} {month:,.0f} a month, around the clock, "
        f"until `./sortbox remove` ({table.source}); {uncounted}"
    )


def _budget(context: CheckContext) -> Iterator[CheckResult]:
    """Whether a budget watches the stage. Whether the tag that it counts is activated is known to
    the account that pays only (ce:ListCostAllocationTags), so the note says how.
    """
    described = outputs(context.stage.stack, context.client("cloudformation"))
    dollars = (described or {}).get("BudgetDollars")
    if dollars is None:
        sentence = "no budget watches this stage: `./sortbox deploy --budget-dollars` makes one"
    else:
        sentence = (
            f"a budget of USD {dollars} a month watches what is tagged stage={context.stage.name}; "
            "it counts only once the cost allocation tag `stage` is activated in Billing, and "
            "from that day on"
        )
    yield CheckResult("budget", "note", sentence)


def _disks(context: CheckContext) -> Iterator[CheckResult]:
    """Whether the endpoint's disks use the key. An endpoint keeps the key, or none, that it was
    created with.
    """
    key = context.stage.kms_key()
    if key is None or has_local_storage(context.stage.endpoint_instance_type):
        return
    if _settings(context).endpoint != "instance":
        return
    sagemaker, name = context.client("sagemaker"), context.stage.endpoint
    try:
        config = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    except ClientError as error:
        if not is_missing(error):
            raise
        return
    description = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    if description.get("KmsKeyId") == key:
        yield CheckResult("disks", "ok", f"the disks of {name}'s machine are under the stage's key")
    else:
        sentence = f"the disks of {name}'s machine are not under the stage's key"
        yield CheckResult("disks", "note", f"{sentence}; the next promotion puts them there")


CHECKS: dict[str, Callable[[CheckContext], Iterator[CheckResult]]] = {
    "credentials": _credentials,
    "bucket": _bucket,
    "key": _key,
    "role": _roles,
    "image": _image,
    "weights": _weights,
    "transform": _transform,
    "quota": _quotas,
    "concurrency": _concurrency,
    "model": _model,
    "endpoint": _endpoint,
    "disks": _disks,
    "budget": _budget,
}
