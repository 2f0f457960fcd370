"""What SageMaker tells EventBridge."""

import asyncio
import json
import logging
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.sagemaker import shapes
from infra.local.sagemaker.store import Record

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient

logger = logging.getLogger(__name__)

TIMES = ("CreationTime", "TransformStartTime", "TransformEndTime")


class Events:
    def __init__(self, client: "EventBridgeClient") -> None:
        self._client = client

    async def transform_job_changed(self, job: Record) -> None:
        """Delivery is best effort, as AWS's is: a receiver must be able to do without."""
        try:
            answer = await asyncio.to_thread(
                self._client.put_events,
                Entries=[
                    {
                        "Source": "aws.sagemaker",
                        "DetailType": "SageMaker Transform Job State Change",
                        "Resources": [job["TransformJobArn"]],
                        "Detail": json.dumps(transform_job_detail(job)),
                    }
                ],
            )
        except (BotoCoreError, ClientError) as error:
            logger.error("event of %s not sent: %s", job["TransformJobName"], error)
            return
        if answer["FailedEntryCount"]:
            logger.error("event of %s refused: %s", job["TransformJobName"], answer["Entries"])


def transform_job_detail(job: Record) -> Record:
    """Describe's answer with the tags; times are epoch milliseconds."""
    detail = shapes.answer("DescribeTransformJob", job)
    times = {time: round(detail[time] * 1000) for time in TIMES if time in detail}
    return detail | times | {"Tags": {tag["Key"]: tag["Value"] for tag in job.get("Tags", [])}}
