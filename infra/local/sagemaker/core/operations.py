"""The table of operations. Each kind of resource contributes its rows."""

from collections.abc import Callable, Mapping
from typing import Any

from infra.local.sagemaker.core import shapes
from infra.local.sagemaker.core.errors import UnknownOperationException
from infra.local.sagemaker.core.store import Record

Request = Mapping[str, Any]
"""A request's members, already validated against the service model."""

Operation = Callable[[Request], Record]
"""Returns at once. Long work continues in the background and is visible in a status."""

Table = Mapping[str, Operation]


def check(table: Table, name: str, request: Request) -> None:
    """Raises ApiError if the operation is unknown or the members are invalid."""
    if name not in table:
        raise UnknownOperationException(f"The local SageMaker does not know {name!r}.")
    shapes.validate(name, request)


def perform(table: Table, name: str, request: Request) -> Record:
    """Perform an operation after `check`. Raises ApiError."""
    return shapes.answer(name, table[name](request))
