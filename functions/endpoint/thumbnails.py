"""Thumbnails for reports. The container makes them, as only it decodes untrusted images."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from aws.errors import is_evidence
from batch.unreadable import denial_of
from domain.model import ActiveModel
from domain.route import endpoint_bytes
from functions.inbox import FetchedImage, fetch
from functions.runtime import logger

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient

MOST_BYTES = 12_000
"""The largest thumbnail, in bytes; a hundred of them in base64 take 1.6 MB of a page."""

JPEG_START = b"\xff\xd8\xff"

MOST_FAILURES = 2
"""After this many errors the process requests no more: a report works without thumbnails."""


def request_thumbnail(
    endpoint: "SageMakerRuntimeClient", active: ActiveModel, content: bytes
) -> bytes | None:
    """A small JPEG of the image `content`; None if the container answers anything else, or if there
    is no endpoint.

    Raises ClientError or BotoCoreError; `aws.errors.is_evidence` tells whether the container
    refused the image.
    """
    if active.endpoint is None:
        return None
    answer = endpoint.invoke_endpoint(
        EndpointName=active.endpoint,
        Body=content,
        ContentType="application/x-image",
        Accept="image/jpeg",
    )
    jpeg = answer["Body"].read(MOST_BYTES + 1)
    return jpeg if jpeg.startswith(JPEG_START) and len(jpeg) <= MOST_BYTES else None


@dataclass
class Thumbnails:
    """Requests thumbnails from the endpoint, with `Accept: image/jpeg`."""

    s3: "S3Client"
    bucket: str
    endpoint: "SageMakerRuntimeClient"
    active: Callable[[], ActiveModel]
    failures: int = field(default=0)

    def of(self, key: str) -> bytes | None:
        """A small JPEG of an inbox image; None if there is none for whatever reason."""
        if self.failures >= MOST_FAILURES:
            return None
        limit = endpoint_bytes(self.active().mode)
        if limit < 0:
            return None
        try:
            photo = fetch(self.s3, self.bucket, key, limit)
        except (BotoCoreError, ClientError) as error:
            self.failures += not (isinstance(error, ClientError) and denial_of(error))
            logger.info("no thumbnail", key=key, why=str(error))
            return None
        return self._ask(key, photo.content) if isinstance(photo, FetchedImage) else None

    def _ask(self, key: str, content: bytes) -> bytes | None:
        try:
            return request_thumbnail(self.endpoint, self.active(), content)
        except (BotoCoreError, ClientError) as error:
            self.failures += not is_evidence(error)  # a 4xx: it refused the image
            logger.info("no thumbnail", key=key, why=str(error))
            return None
