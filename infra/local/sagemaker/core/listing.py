"""List operations: filters, order and pages, common to all kinds of resources."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.utils import parse_to_aware_datetime

from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.resources import TRAINING_JOB, TRIAL, TUNING_JOB, Kind
from infra.local.sagemaker.core.shapes import summary
from infra.local.sagemaker.core.store import Record

DEFAULT_PAGE_SIZE = 10

ASCENDING = frozenset(
    {"TrainingJob", "HyperParameterTuningJob", "ModelPackage", "ModelPackageGroup"}
)
"""Kinds listed in ascending order by default, according to the reference (botocore's model); others
descending."""

BY_NAME = frozenset({TUNING_JOB, TRIAL})
"""Kinds sorted by name by default, according to the reference; others by creation time."""

FILTERED_LATE = TRAINING_JOB
"""ListTrainingJobs applies its status filter after it has cut the page."""

Position = tuple[Any, str]


def page(kind: Kind, records: Iterable[Record], request: Mapping[str, Any]) -> Record:
    """One page and, if there are more items, the token of the next page.

    The token is the position of the last item in the order, so that concurrent creations and
    deletions neither repeat nor hide other items.
    """
    by = "Name" if kind in BY_NAME else "CreationTime"
    position = _position(kind, request.get("SortBy", by))
    default = "Ascending" if kind.noun in ASCENDING else "Descending"
    descending = request.get("SortOrder", default) == "Descending"
    items = [record for record in records if _matches(kind, record, request)]
    if kind != FILTERED_LATE:
        items = [record for record in items if _has_status(kind, record, request)]
    items.sort(key=position, reverse=descending)
    if "NextToken" in request:
        last = _decode(request["NextToken"])
        items = [
            item
            for item in items
            if (position(item) < last if descending else position(item) > last)
        ]
    size = request.get("MaxResults", DEFAULT_PAGE_SIZE)
    shown = [record for record in items[:size] if _has_status(kind, record, request)]
    answer: Record = {kind.listed: [summary(kind.summary, record) for record in shown]}
    if len(items) > size:
        answer["NextToken"] = _encode(position(items[size - 1]))
    return answer


def _matches(kind: Kind, record: Record, request: Mapping[str, Any]) -> bool:
    if request.get("NameContains", "").lower() not in record[kind.name_field].lower():
        return False
    return all(
        _seconds(request.get(f"{time}After", 0)) < record[time]
        and record[time] < _seconds(request.get(f"{time}Before", float("inf")))
        for time in ("CreationTime", "LastModifiedTime")
    )


def _has_status(kind: Kind, record: Record, request: Mapping[str, Any]) -> bool:
    status = record.get(kind.status_field)
    return bool(request.get("StatusEquals", status) == status)


def _seconds(time: Any) -> float:
    """Epoch seconds of a time, which JSON 1.1 transports as a number or as ISO text."""
    return time if isinstance(time, float | int) else parse_to_aware_datetime(time).timestamp()


def _position(kind: Kind, sort_by: str) -> Callable[[Record], Position]:
    members = {"Name": kind.name_field, "Status": kind.status_field}
    members["FinalObjectiveMetricValue"] = "FinalObjectiveMetricValue"
    member = members.get(sort_by, "CreationTime")
    return lambda record: (record[member], record[kind.name_field])


def _encode(position: Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _decode(token: str) -> Position:
    try:
        value, name = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError, binascii.Error) as error:
        raise ValidationException("Invalid NextToken.") from error
    return value, name
