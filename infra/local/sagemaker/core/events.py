"""Send status changes to EventBridge."""

import asyncio
import json
import logging
import re
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.sagemaker.core import shapes
from infra.local.sagemaker.core.resources import Kind
from infra.local.sagemaker.core.store import Record

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient

logger = logging.getLogger(__name__)

TIME = re.compile(r"(Time|Timestamp)$")


class Events:
    def __init__(self, client: "EventBridgeClient") -> None:
        self._client = client

    async def changed(self, kind: Kind, record: Record) -> None:
        """Send an event. Delivery is best effort, as in AWS: receivers must not depend on it."""
        name = record[kind.name_field]
        try:
            answer = await asyncio.to_thread(
                self._client.put_events,
                Entries=[
                    {
                        "Source": "aws.sagemaker",
                        "DetailType": f"SageMaker {kind.title} State Change",
                        "Resources": [record[kind.arn_field]],
                        "Detail": json.dumps(detail(kind, record)),
                    }
                ],
            )
        except (BotoCoreError, ClientError) as error:
            logger.error("event of %s not sent: %s", name, error)
            return
        if answer["FailedEntryCount"]:
            logger.error("event of %s refused: %s", name, answer["Entries"])


def detail(kind: Kind, record: Record) -> Record:
    """The record as Describe returns it, with the tags; times are in epoch milliseconds."""
    tags = {tag["Key"]: tag["Value"] for tag in record.get("Tags", [])}
    described: Record = _in_milliseconds(shapes.answer(f"Describe{kind.noun}", record))
    return described | {"Tags": tags}


def _in_milliseconds(value: Any, name: str = "") -> Any:
    match value:
        case dict():
            return {key: _in_milliseconds(item, key) for key, item in value.items()}
        case list():
            return [_in_milliseconds(item) for item in value]
        case float() if TIME.search(name):
            return round(value * 1000)
        case _:
            return value
