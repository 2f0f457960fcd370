"""The quotas of an account that the documented steps need, and how to request an increase.

A new account has 0 of many `ml.*` types, 10 concurrent functions and sometimes no builds. Quotas
are looked up by name: Service Quotas documents the names, and their codes differ per instance type.
"""

import re
from dataclasses import dataclass
from typing import Literal

from botocore.exceptions import ClientError

from aws.errors import code_of, message_of
from domain.instance import DEFAULT_TYPE, PARALLEL_TRIALS

Service = Literal["sagemaker", "codebuild", "lambda"]

CONSOLE = "https://console.aws.amazon.com/servicequotas/home"
NO_CAPACITY = "CapacityError"
"""The FailureReason of a job for which AWS had no capacity begins with this: "CapacityError: Unable
to provision requested ML compute capacity. Please retry using a different ML instance type."
"""

KILLED = re.compile(
    r"\bexit(?:ed)?[ _]?(?:code|status|with(?: code| status)?)?[ :=]*(?:137|-9)\b", re.IGNORECASE
)
"""In the FailureReason of a job: SIGKILL, 128 + 9, by which the kernel frees memory."""

DELAY = "an answer takes hours to days"

ENDPOINT_MACHINES = 2
"""During an update the new machine runs beside the old one."""

BUILDS = "Concurrently running builds for Linux/Medium environment"
"""The quota of the compute type in image.yml."""

FUNCTIONS = "Concurrent executions"

SERVICES: dict[str, Service] = {
    "ResourceLimitExceeded": "sagemaker",
    "AccountLimitExceededException": "codebuild",
}
"""The service whose quota an error code is about. Other codes are used by several services."""


STACK_QUOTA = re.compile(r"LimitExceeded|QuotaExceeded|TooManyBuckets|buckets than allowed")


@dataclass(frozen=True, slots=True)
class QuotaNeed:
    """`step` requires at least `least` of a quota."""

    service: Service
    name: str
    least: int
    step: str
    optional: bool = False
    """True if the step has an alternative, so that a quota that is too small is only worth
    a note."""


@dataclass(frozen=True, slots=True)
class StageMachines:
    """The instance types and counts of a stage, as deployed."""

    endpoint_type: str | None
    """None if no endpoint is on an instance."""
    transform_type: str
    machines_per_job: int
    transform_jobs: int


def needs(machines: StageMachines) -> tuple[QuotaNeed, ...]:
    """The quotas that the documented steps need, in addition to `functions_need`."""
    training = f"{DEFAULT_TYPE} for training job usage"
    spot = f"{DEFAULT_TYPE} for spot training job usage"
    transform = f"{machines.transform_type} for transform job usage"
    machines_per_job, jobs = machines.machines_per_job, machines.transform_jobs
    endpoint = () if machines.endpoint_type is None else (
        QuotaNeed("sagemaker", f"{machines.endpoint_type} for endpoint usage", ENDPOINT_MACHINES,
                  "`./sortbox promote`, which updates with a second machine beside the first,"),
    )  # fmt: skip
    return (
        QuotaNeed("codebuild", BUILDS, 1, "`./sortbox image`"),
        *endpoint,
        QuotaNeed("sagemaker", transform, machines_per_job, "a folder's transform job"),
        QuotaNeed("sagemaker", transform, machines_per_job * jobs,
                  f"a stage of as many jobs at once as transformJobs says, {jobs},",
                  optional=True),
        QuotaNeed("sagemaker", training, 1, "`./sortbox train`"),
        QuotaNeed("sagemaker", training, PARALLEL_TRIALS,
                  "`./sortbox tune` without `--parallel 1`", optional=True),
        QuotaNeed("sagemaker", spot, 1, "`./sortbox train --spot`", optional=True),
    )  # fmt: skip


ALTERNATIVES = ("ml.m5", "ml.c5", "ml.m7i", "ml.c7i")
"""Families that every job and the endpoint run on, of the price table."""


def alternatives(need: QuotaNeed) -> dict[str, str]:
    """Types of the same size that would do in place of the one that the quota is about, by the name
    of their quota; none for what is no quota of a processor's instance type.
    """
    family, _, rest = need.name.removeprefix("ml.").partition(".")
    if need.service != "sagemaker" or f"ml.{family}" not in ALTERNATIVES:
        return {}
    size = rest.partition(" ")[0]
    usage = rest.removeprefix(size)
    return {
        f"{other}.{size}{usage}": f"{other}.{size}"
        for other in ALTERNATIVES
        if other != f"ml.{family}"
    }


def functions_need(concurrency: int) -> QuotaNeed:
    return QuotaNeed("lambda", FUNCTIONS, concurrency, "this stage's functions")


def how_to_ask(need: QuotaNeed, code: str | None) -> str:
    """How to request an increase. `code` is the quota code, None if Service Quotas does not list
    it.
    """
    if code is None:
        return f"ask for more at {CONSOLE}/services/{need.service}/quotas; {DELAY}"
    return (
        "ask for more with `aws service-quotas request-service-quota-increase --service-code "
        f"{need.service} --quota-code {code} --desired-value {need.least}`; {DELAY}"
    )


def refusal(error: ClientError) -> str:
    """The message for an error for which `aws.errors.is_limit` is true.

    SageMaker names the quota in quotes ("The account-level service limit 'ml.m5.xlarge for endpoint
    usage' is 0 Instances, with …"); CodeBuild says "Cannot have more than 0 builds in queue for the
    account" and does not name it.
    """
    return _refusal(message_of(error), SERVICES.get(code_of(error)))


def _refusal(message: str, service: Service | None) -> str:
    quoted = re.search(r"'([^']+)'", message)
    name = quoted[1] if quoted else BUILDS if service == "codebuild" else "one of the account's"
    page = f"{CONSOLE}/services/{service}/quotas" if service else CONSOLE
    return (
        f"The quota {name!r} does not allow that ({message.rstrip('. ')}): ask for more at {page}; "
        f"{DELAY}, and the same command then goes on from here."
    )


def advice(reasons: str) -> str:
    """The sentence to append to a stack's failure reasons if a resource exceeded a quota; else "".

    CloudFormation includes each service's message, with the name of its error.
    """
    if not STACK_QUOTA.search(reasons):
        return ""
    return f"\n  This is a quota: ask for more at {CONSOLE}; {DELAY}. Then run the command again."


def explain_failure(reason: str, instance_type: str) -> str:
    """Why a job failed, with what to do if the cause is a quota or missing capacity.

    A tuning job can fail because of a quota: it is created before its first training job is
    refused.
    """
    if "service limit '" in reason:
        return _refusal(reason, "sagemaker")
    if NO_CAPACITY in reason:
        return (
            f"{reason} AWS has no {instance_type} free just now: run the same command later, or "
            "with another --instance-type."
        )
    if KILLED.search(reason):
        return (
            f"{reason.rstrip('. ')}. 137 means that the process was killed, mostly because the "
            f"memory of {instance_type} was full: pass a smaller --batch-size, fewer --decoders, "
            "or an --instance-type with more memory. The same command goes on from the last "
            "checkpoint."
        )
    return reason
