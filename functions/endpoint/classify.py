"""An image's bytes, asked of the endpoint."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws.errors import container_message, container_status, is_evidence
from domain import reply
from domain.model import ActiveModel
from domain.reply import Refused, Reply, Server

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient


def ask(client: "SageMakerRuntimeClient", active: ActiveModel, content: bytes) -> Reply:
    """What the container says about `content`, which is at most ENDPOINT_BYTES long.

    Raises for whatever is no evidence about the image: throttling, an endpoint that is absent or
    not in service, 5xx, a time-out, a missing permission, a 200 that is not a reply.
    """
    try:
        response = client.invoke_endpoint(
            EndpointName=active.endpoint,
            Body=content,
            ContentType="application/x-image",
            Accept="application/json",
        )
    except ClientError as error:
        return _refusal(error, active)
    body = response["Body"].read(reply.MAX_BYTES + 1)
    if len(body) > reply.MAX_BYTES:
        raise ValueError(f"the container's reply is longer than {reply.MAX_BYTES} bytes")
    return reply.from_json(body)


def _refusal(error: ClientError, active: ActiveModel) -> Refused:
    """Raises `error` where it is no evidence about the image."""
    if not is_evidence(error):
        raise error
    try:
        container_reply = reply.from_json(container_message(error))
    except ValueError:
        container_reply = None
    if isinstance(container_reply, Refused):
        return container_reply
    # A container that is not ours says 4xx in words of its own.
    sentence = f"The endpoint refused this image with HTTP status {container_status(error)}."
    return Refused(Server(str(active.id), "unknown"), "refused", sentence)
