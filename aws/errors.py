"""What errors of AWS mean: the one place that looks into botocore's ClientError for it.

Which of S3's errors deny one object, and what to do about it, is in `batch.unreadable`; sentences
for a person at a terminal are in `cli.errors`.
"""

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

MISSING_CODES = frozenset(
    {
        "ResourceNotFound",
        "ResourceNotFoundException",
        "ImageNotFoundException",
        "RepositoryNotFoundException",
    }
)

LIMIT_CODES = frozenset(
    {
        "ResourceLimitExceeded",  # SageMaker
        "AccountLimitExceededException",  # CodeBuild
        "LimitExceeded",  # IAM
        "LimitExceededException",  # CloudFormation, ECR, KMS, CloudWatch Logs
        "ServiceQuotaExceededException",
        "TooManyBuckets",
    }
)
"""A quota of the account does not allow it, so that asking again is of no use (botocore's service
models)."""

THROTTLED_CODES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
    }
)
"""As botocore's standard retry mode counts them (botocore.retries.standard)."""

PASSING_CODES = frozenset({"RequestTimeout", "RequestTimeoutException"})

RETRIED_STATUSES = (408, 429)
"""Of a container's 4xx: it was slow or busy, which says nothing about what it was sent."""


def status_of(error: ClientError) -> int:
    """Of the HTTP answer."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def code_of(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def message_of(error: ClientError) -> str:
    return error.response["Error"].get("Message", "")


def is_absent(error: ClientError) -> bool:
    """S3 has no object of this key. 404 only; an absent bucket is trouble.

    Without s3:ListBucket an absent key is 403, and that is trouble too, never an answer.
    """
    return status_of(error) == 404 and code_of(error) != "NoSuchBucket"


def is_lost_race(error: ClientError) -> bool:
    """Another write came before this conditional one.

    412 fails the condition; 409 meets another conditional write; 404 has nothing left to match.
    """
    return status_of(error) in (404, 409, 412) and code_of(error) != "NoSuchBucket"


def is_throttled(error: Exception) -> bool:
    """The account asks too often; this request was not carried out."""
    return isinstance(error, ClientError) and code_of(error) in THROTTLED_CODES


def is_transient(error: Exception) -> bool:
    """The same request may succeed in a minute: throttling, a fault of AWS (5xx), no connection.

    What it asked for may have been done all the same, unless `is_throttled`.
    """
    if isinstance(error, ClientError):
        is_passing = code_of(error) in PASSING_CODES or status_of(error) >= 500
        return is_throttled(error) or is_passing
    return isinstance(error, ConnectionError | HTTPClientError)


def is_missing(error: ClientError) -> bool:
    """SageMaker, CloudFormation, ECR, Lambda or CloudWatch Logs has no resource of this name.

    SageMaker's reference promises ResourceNotFound; the service sends a ValidationException that
    says "Could not find". CloudFormation sends a ValidationError that says "does not exist".
    """
    code, message = code_of(error), message_of(error)
    return (
        code in MISSING_CODES
        or (code == "ValidationException" and "Could not find" in message)
        or (code == "ValidationError" and "does not exist" in message)
    )


def is_limit(error: ClientError) -> bool:
    """A quota of the account is used up, or 0; `infra.quotas` has the sentence."""
    return code_of(error) in LIMIT_CODES


def is_there_already(error: ClientError) -> bool:
    """SageMaker has a resource of this name, and says so under the code of a bad request."""
    return code_of(error) == "ValidationException" and "already exist" in message_of(error)


def is_unchanged(error: ClientError) -> bool:
    """CloudFormation was asked for an update that changes nothing."""
    return code_of(error) == "ValidationError" and "No updates are to be performed" in message_of(
        error
    )


def container_status(error: ClientError) -> int | None:
    """What the endpoint's container answered (0: nothing); None where SageMaker does not say."""
    details: dict[str, object] = dict(error.response)
    status = details.get("OriginalStatusCode")
    return status if code_of(error) == "ModelError" and isinstance(status, int) else None


def container_message(error: ClientError) -> str:
    details: dict[str, object] = dict(error.response)
    return str(details.get("OriginalMessage", ""))


def is_evidence(error: Exception) -> bool:
    """Whether the container judged what it was sent: its own 4xx, unless it was slow or busy.

    Throttling, an endpoint that is not in service, 5xx, a missing permission: none of it is.
    """
    status = container_status(error) if isinstance(error, ClientError) else None
    return status is not None and 400 <= status < 500 and status not in RETRIED_STATUSES
