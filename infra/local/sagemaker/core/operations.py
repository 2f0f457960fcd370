"""The table of operations. A new kind of resource joins by bringing its own rows."""

from collections.abc import Callable, Mapping
from typing import Any

from infra.local.sagemaker.core import shapes
from infra.local.sagemaker.core.errors import UnknownOperationException
from infra.local.sagemaker.core.store import Record

Request = Mapping[str, Any]
"""A request's members, already held to the service model."""

Operation = Callable[[Request], Record]
"""Answers at once; work that takes time goes on in the background and shows in a status."""

Table = Mapping[str, Operation]


def check(table: Table, name: str, request: Request) -> None:
    """Raises ApiError for an operation that there is not, or members that it does not take."""
    if name not in table:
        raise UnknownOperationException(f"The local SageMaker does not know {name!r}.")
    shapes.validate(name, request)


def perform(table: Table, name: str, request: Request) -> Record:
    """What was checked. Raises ApiError."""
    return shapes.answer(name, table[name](request))
