"""Send events to EventBridge's default bus."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from domain.errors import SortboxError

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient

SOURCE = "sortbox"
"""The source of every event. The role of the function that sends them allows no other."""


class EventRefusedError(SortboxError):
    """EventBridge answered 200 and did not take the event; the message has its reason."""


def put_event(client: "EventBridgeClient", detail_type: str, detail: Mapping[str, object]) -> None:
    """Send one event, which must be smaller than 256 KB as JSON.

    Raises EventRefusedError, and what botocore raises. PutEvents reports the failure of an entry
    in its answer, not as an error.
    """
    text = json.dumps(detail, ensure_ascii=False)
    answer = client.put_events(
        Entries=[{"Source": SOURCE, "DetailType": detail_type, "Detail": text}]
    )
    if answer["FailedEntryCount"]:
        [entry] = answer["Entries"]
        reason = f"{entry.get('ErrorCode')}: {entry.get('ErrorMessage')}"
        raise EventRefusedError(f"EventBridge did not take an event: {reason}")
