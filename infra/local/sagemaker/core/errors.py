"""AWS's errors. The class name is the error code in the response."""

from http import HTTPStatus


class ApiError(Exception):
    status = HTTPStatus.BAD_REQUEST

    @property
    def code(self) -> str:
        return type(self).__name__

    @property
    def body(self) -> dict[str, object]:
        return {"message": str(self)}


class ValidationException(ApiError):
    """The request cannot be performed as it is, for example because a resource does not exist."""


class ResourceNotFound(ApiError):
    """There is no job of this name."""


class ResourceInUse(ApiError):
    """A job of this name exists; names of jobs cannot be used again."""


class ResourceLimitExceeded(ApiError):
    """The account's quota is exhausted."""


class NoSuchResourceException(ApiError):
    """Service Quotas' error for an unknown service."""


class ThrottlingException(ApiError):
    """The account has exceeded its request rate."""


class AccessDeniedException(ApiError):
    """The caller's policies do not allow it."""


class ConflictException(ApiError):
    """The request conflicts with the current state of the resource."""


class UnknownOperationException(ApiError):
    """The status is 400, because clients retry a 5xx."""


class ValidationError(ApiError):
    """The runtime's error for an endpoint that cannot be invoked."""

    @property
    def body(self) -> dict[str, object]:
        return {"Message": str(self)}


class ModelNotReadyException(ApiError):
    """The runtime's error while a serverless endpoint's container does not start."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    @property
    def body(self) -> dict[str, object]:
        return {"Message": str(self)}


class ModelError(ApiError):
    """The container responded with an error, or not at all (`original_status` 503; 0 for a
    timeout).
    """

    status = HTTPStatus.FAILED_DEPENDENCY

    def __init__(self, original_status: int, original_message: str, log: str) -> None:
        side = "client" if 400 <= original_status < 500 else "server"
        super().__init__(
            f"Received {side} error ({original_status}) from primary with message "
            f'"{original_message}". See {log} for more information.'
        )
        self.original_status = original_status
        self.original_message = original_message

    @property
    def body(self) -> dict[str, object]:
        return {
            "Message": str(self),
            "OriginalStatusCode": self.original_status,
            "OriginalMessage": self.original_message,
        }
