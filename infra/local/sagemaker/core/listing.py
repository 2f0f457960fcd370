"""List operations: filters, order and pages, the same for every kind."""

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
"""Kinds whose listing the reference (botocore's model) orders so by default; others Descending."""

BY_NAME = frozenset({TUNING_JOB, TRIAL})
"""Kinds whose listing the reference sorts so by default; others by the time of their creation."""

FILTERED_LATE = TRAINING_JOB
"""ListTrainingJobs cuts its page first and takes the jobs of other states out of it then."""

Position = tuple[Any, str]


def page(kind: Kind, records: Iterable[Record], request: Mapping[str, Any]) -> Record:
    """One page and, where there are more, the token of the next.

    The token is the last item's place in the order, so that what comes and goes meanwhile neither
    repeats nor hides another item.
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
    """JSON 1.1 carries numbers of seconds or ISO texts."""
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
