"""The sentence for an error that a person or AWS caused, for a terminal and for pages alike."""

import errno
import sys
from urllib.parse import urlsplit

from domain.errors import SortboxError

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
INVALID_KEYS = frozenset({"InvalidClientTokenId", "UnrecognizedClientException"})
INVALID_KEYS |= {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
DISK_FULL = "InsufficientStorage"
"""Of the local cloud only (infra/local/persistence/disk.py); its message says what to do."""


def explain(error: Exception) -> str | None:
    """The sentence for an error that a person or AWS caused; None for a defect of ours."""
    match error:
        case SortboxError():
            return str(error)
        case OSError(filename=str(name), strerror=str(reason)):
            return f"{name}: {reason}."
        case OSError(errno=errno.ENOSPC, strerror=str(reason)):  # what is printed has no name
            return f"{reason}."
    return of_aws(error)


def of_aws(error: Exception) -> str | None:
    """A sentence for what botocore raises; None for any other error.

    botocore takes a third of a second to import, so it is asked for only where it already is.
    """
    if "botocore" not in sys.modules:
        return None
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions as aws

    if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, aws.ClientError):
        return of_aws(error.__context__)
    if isinstance(error, aws.ClientError):
        from aws.errors import is_limit, is_throttled
        from infra.quotas import refusal

        if is_limit(error):
            return refusal(error)
        if is_throttled(error):
            return (
                "AWS is throttling this account. Wait a minute and run the command again. "
                f"({error})"
            )
        response = error.response["Error"]
        if response.get("Code") == DISK_FULL:
            return response.get("Message")
        return _refused(response.get("Code", ""), str(error))
    sentences: dict[tuple[type[Exception], ...], str] = {
        (aws.NoRegionError,): "Which region? Set AWS_REGION, or `region` in your AWS profile.",
        (aws.NoCredentialsError, aws.PartialCredentialsError): (
            "No AWS credentials. Run `aws configure` or `aws sso login`, or set AWS_PROFILE."
        ),
        (aws.ProfileNotFound, aws.ConfigParseError): (
            f"{error}. `aws configure list-profiles` lists the profiles."
        ),
        (aws.SSOError, aws.TokenRetrievalError): (
            "Your AWS sign-in has expired. Run `aws sso login`."
        ),
        (aws.ConnectionError, aws.HTTPClientError): _unreachable(error),
        (aws.BotoCoreError,): f"AWS: {error}",
    }
    return next((text for kinds, text in sentences.items() if isinstance(error, kinds)), None)


def _unreachable(error: Exception) -> str:
    address = str(getattr(error, "kwargs", {}).get("endpoint_url", ""))
    if urlsplit(address).hostname in LOOPBACK:
        return (
            "The local cloud does not answer. Run `./sortbox up`, and open the address that it "
            f"prints. ({error})"
        )
    return f"AWS does not answer: {error}. Check the network, and try again."


def _refused(code: str, message: str) -> str:
    if code in EXPIRED:
        return "Your AWS session has expired. Sign in again, and run the command again."
    if code in INVALID_KEYS:
        return f"AWS does not accept these credentials. ({message})"
    if code in DENIED:
        return f"Your AWS credentials may not do that: {message}"
    return f"AWS refused: {message}"
