"""The meaning of AWS's errors: the only module that inspects botocore's ClientError for it.

`batch.unreadable` has the errors of S3 that deny access to one object, and `infra.sentences` the
sentences for the terminal.
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
"""A quota of the account is exhausted, so that a retry does not help. From botocore's service
models."""

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
"""The 4xx of a container that mean it was slow or busy; they say nothing about the request."""


def status_of(error: ClientError) -> int:
    """The HTTP status."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def code_of(error: ClientError) -> str:
    """The error code, such as `NoSuchKey`."""
    return error.response["Error"]["Code"]


def message_of(error: ClientError) -> str:
    """The error message; '' if there is none."""
    return error.response["Error"].get("Message", "")


def is_absent(error: ClientError) -> bool:
    """S3 has no object with this key: a 404, except for a missing bucket.

    Without s3:ListBucket S3 answers 403 for an absent key. That does not count as absent.
    """
    return status_of(error) == 404 and code_of(error) != "NoSuchBucket"


def is_lost_race(error: ClientError) -> bool:
    """A conditional write failed because another write came first.

    412: the condition does not hold; 409: a concurrent conditional write; 404: the object to match
    has been deleted.
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
    """SageMaker, CloudFormation, ECR, Lambda or CloudWatch Logs has no resource with this name.

    SageMaker documents ResourceNotFound but sends a ValidationException with "Could not find".
    CloudFormation sends a ValidationError with "does not exist".
    """
    code, message = code_of(error), message_of(error)
    return (
        code in MISSING_CODES
        or (code == "ValidationException" and "Could not find" in message)
        or (code == "ValidationError" and "does not exist" in message)
    )


def is_limit(error: ClientError) -> bool:
    """A quota of the account is exhausted, or 0; `infra.quotas` has the sentence."""
    return code_of(error) in LIMIT_CODES


def is_there_already(error: ClientError) -> bool:
    """SageMaker has a resource with this name; it reports that as a ValidationException."""
    return code_of(error) == "ValidationException" and "already exist" in message_of(error)


def is_unchanged(error: ClientError) -> bool:
    """A CloudFormation update that changes nothing, which CloudFormation rejects."""
    return code_of(error) == "ValidationError" and "No updates are to be performed" in message_of(
        error
    )


def container_status(error: ClientError) -> int | None:
    """The status of the endpoint's container (0: no answer); None if SageMaker reports none."""
    details: dict[str, object] = dict(error.response)
    status = details.get("OriginalStatusCode")
    return status if code_of(error) == "ModelError" and isinstance(status, int) else None


def container_message(error: ClientError) -> str:
    """The body of the container's answer; '' if SageMaker reports none."""
    details: dict[str, object] = dict(error.response)
    return str(details.get("OriginalMessage", ""))


def is_too_large(error: ClientError) -> bool:
    """A body that does not get to the container, or that the container does not read.

    SageMaker's front answers 413 ("HTTP content length exceeded … bytes"), or a ValidationError
    ("Request … has oversize body", or "… length less than or equal to 6291456").
    """
    if status_of(error) == 413 or container_status(error) == 413:
        return True
    message = message_of(error)
    is_about_size = "oversize body" in message or "length less than or equal" in message
    return code_of(error) == "ValidationError" and is_about_size


def is_evidence(error: Exception) -> bool:
    """Whether the error says something about the image: a 4xx of the container, except 408 and 429.

    Throttling, an endpoint that is not in service, a 5xx and a missing permission do not.
    """
    status = container_status(error) if isinstance(error, ClientError) else None
    return status is not None and 400 <= status < 500 and status not in RETRIED_STATUSES
