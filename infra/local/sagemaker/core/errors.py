"""AWS's errors. A class's name is the code that goes over the wire."""

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
    """The request cannot be done as it is; what is asked for may not exist."""


class ResourceNotFound(ApiError):
    """A job of this name was never created."""


class ResourceInUse(ApiError):
    """A job of this name exists already; names are never free again."""


class ResourceLimitExceeded(ApiError):
    """The account's quota is used up for now."""


class NoSuchResourceException(ApiError):
    """Service Quotas' word for a service that it does not know."""


class ThrottlingException(ApiError):
    """More requests in a second than the account may send."""


class AccessDeniedException(ApiError):
    """The caller's policies do not allow it."""


class ConflictException(ApiError):
    """What is asked for does not go with what is there."""


class UnknownOperationException(ApiError):
    """Status 400, because clients retry a 5xx."""


class ValidationError(ApiError):
    """The runtime's word for an endpoint that cannot be invoked."""

    @property
    def body(self) -> dict[str, object]:
        return {"Message": str(self)}


class ModelError(ApiError):
    """The container answered with an error, or not at all (`original_status` 503, or 0 in time)."""

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
