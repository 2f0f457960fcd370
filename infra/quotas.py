"""The quotas of an account that the documented steps need, and how to ask for more.

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
"""How the FailureReason of a job begins that got no machine: "CapacityError: Unable to provision
requested ML compute capacity. Please retry using a different ML instance type."
"""

DELAY = "an answer takes hours to days"

ENDPOINT_MACHINES = 2
"""An update brings a second machine up before the first goes."""

BUILDS = "Concurrently running builds for Linux/Medium environment"
"""Of the compute type in image.yml."""

FUNCTIONS = "Concurrent executions"

SERVICES: dict[str, Service] = {
    "ResourceLimitExceeded": "sagemaker",
    "AccountLimitExceededException": "codebuild",
}
"""Whose quota an error is about; other codes are those of many services."""


STACK_QUOTA = re.compile(r"LimitExceeded|QuotaExceeded|TooManyBuckets|buckets than allowed")


@dataclass(frozen=True, slots=True)
class QuotaNeed:
    """`step` cannot be done with less than `least` of a quota."""

    service: Service
    name: str
    least: int
    step: str
    optional: bool = False
    """The step has another way, so a smaller quota is worth a note only."""


@dataclass(frozen=True, slots=True)
class StageMachines:
    """What a stage runs on, as it is deployed."""

    endpoint_type: str
    transform_type: str
    machines_per_job: int
    transform_jobs: int


def needs(machines: StageMachines) -> tuple[QuotaNeed, ...]:
    """What the documented steps need beside `functions_need`."""
    endpoint = f"{machines.endpoint_type} for endpoint usage"
    training = f"{DEFAULT_TYPE} for training job usage"
    spot = f"{DEFAULT_TYPE} for spot training job usage"
    transform = f"{machines.transform_type} for transform job usage"
    machines_per_job, jobs = machines.machines_per_job, machines.transform_jobs
    return (
        QuotaNeed("codebuild", BUILDS, 1, "`./sortbox image`"),
        QuotaNeed("sagemaker", endpoint, ENDPOINT_MACHINES,
                  "`./sortbox promote`, which updates with a second machine beside the first,"),
        QuotaNeed("sagemaker", transform, machines_per_job, "a folder's transform job"),
        QuotaNeed("sagemaker", transform, machines_per_job * jobs,
                  f"a stage of as many jobs at once as transformJobs says, {jobs},",
                  optional=True),
        QuotaNeed("sagemaker", training, 1, "`./sortbox train`"),
        QuotaNeed("sagemaker", training, PARALLEL_TRIALS, "`./sortbox tune`"),
        QuotaNeed("sagemaker", spot, 1, "`./sortbox train --spot`", optional=True),
    )  # fmt: skip


def functions_need(concurrency: int) -> QuotaNeed:
    return QuotaNeed("lambda", FUNCTIONS, concurrency, "this stage's functions")


def how_to_ask(need: QuotaNeed, code: str | None) -> str:
    """`code` is the quota's, where Service Quotas lists it."""
    if code is None:
        return f"ask for more at {CONSOLE}/services/{need.service}/quotas; {DELAY}"
    return (
        "ask for more with `aws service-quotas request-service-quota-increase --service-code "
        f"{need.service} --quota-code {code} --desired-value {need.least}`; {DELAY}"
    )


def refusal(error: ClientError) -> str:
    """The sentence for an error that `aws.errors.is_limit` knows.

    SageMaker names the quota in quotes ("The account-level service limit 'ml.m5.xlarge for endpoint
    usage' is 0 Instances, with …"); CodeBuild says "Cannot have more than 0 builds in queue for the
    account" and names none.
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
    """A sentence to add to why a stack failed, where one of its resources met a quota; else "".

    CloudFormation passes on what each service said, with the name of the error.
    """
    if not STACK_QUOTA.search(reasons):
        return ""
    return f"\n  This is a quota: ask for more at {CONSOLE}; {DELAY}. Then run the command again."


def explain_failure(reason: str, instance_type: str) -> str:
    """Why a job failed, and what to do where AWS had no machine for it: a quota may end a search,
    which is created before its first trial is refused.
    """
    if "service limit '" in reason:
        return _refusal(reason, "sagemaker")
    if NO_CAPACITY in reason:
        return (
            f"{reason} AWS has no {instance_type} free just now: run the same command later, or "
            "with another --instance-type."
        )
    return reason
