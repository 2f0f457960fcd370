"""Objects that S3 does not let anybody read, in the words of AWS: each kind as it is documented."""

from collections.abc import Callable
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from tests.support.fakes.aws import error

SSE_C = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be"
    " provided to retrieve the object."
)
NO_KMS = (
    "User: arn:aws:sts::1:assumed-role/r/f is not authorized to perform: kms:Decrypt on this"
    " resource because no resource-based policy allows the kms:Decrypt action"
)


@dataclass(frozen=True)
class Kind:
    """What GET and HEAD answer; None: HEAD shows the object."""

    get: tuple[int, str, str]
    head: tuple[int, str] | None
    says: str
    """In the rejection: what to do."""


KINDS = {
    "archived": Kind((403, "InvalidObjectState", "The operation is not valid"), None, "Restore"),
    "SSE-C": Kind((400, "InvalidRequest", SSE_C), (400, "400"), "without SSE-C"),
    "disabled key": Kind((400, "KMS.DisabledException", "key is disabled"), None, "Enable the key"),
    "key that goes": Kind((400, "KMS.KMSInvalidStateException", "pending"), None, "Enable the key"),
    "key that is gone": Kind((400, "KMS.NotFoundException", "no key"), None, "Enable the key"),
    "key of others": Kind((403, "AccessDenied", NO_KMS), None, "allow kms:Decrypt"),
    "policy": Kind((403, "AccessDenied", "Access Denied"), (403, "403"), "bucket policy"),
}


@dataclass
class Denied:
    """A hook for FakeS3: these keys cannot be read, for a reason each."""

    kinds: dict[str, Kind] = field(default_factory=dict)
    then: Callable[[str, str], None] = lambda operation, key: None

    def __call__(self, operation: str, key: str) -> None:
        self.then(operation, key)
        kind = self.kinds.get(key)
        if kind is None:
            return
        if operation == "GetObject":
            raise _client_error(operation, *kind.get)
        if operation == "HeadObject" and kind.head:
            raise _client_error(operation, *kind.head, kind.head[1])


def _client_error(operation: str, status: int, code: str, message: str) -> ClientError:
    raised = error(operation, status, code)
    raised.response["Error"]["Message"] = message
    return raised
