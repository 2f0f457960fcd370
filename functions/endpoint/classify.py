"""Send an image to the endpoint."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws.errors import container_message, container_status, is_evidence, is_too_large
from domain import reply
from domain.errors import SortboxError
from domain.model import ActiveModel
from domain.reply import Refused, Reply, Server
from domain.route import ENDPOINT_BYTES

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from types_boto3_sagemaker_runtime.type_defs import InvokeEndpointInputTypeDef


class NoEndpointError(SortboxError, ValueError):
    """The stage has no endpoint any more: it was switched since the image was read."""


def ask(
    client: "SageMakerRuntimeClient", active: ActiveModel, content: bytes, features: bool = False
) -> Reply:
    """Send `content` to the endpoint, and return the container's reply, with the features of the
    image where `features` asks for them and the model has them.

    A 4xx of the container is returned as Refused. Raises errors that say nothing about the image:
    ClientError or BotoCoreError for throttling, an endpoint that is absent or not in service, a
    5xx, a time-out, a missing permission or a body beyond ENDPOINT_BYTES that is refused for its
    size; ValueError for a 200 that is not a reply, or without an endpoint.
    """
    if active.endpoint is None:
        raise NoEndpointError("the stage has no endpoint any more; a transform job answers")
    request: InvokeEndpointInputTypeDef = {
        "EndpointName": active.endpoint,
        "Body": content,
        "ContentType": "application/x-image",
        "Accept": "application/json",
    }
    if features:
        request["CustomAttributes"] = "features=true"
    try:
        response = client.invoke_endpoint(**request)
    except ClientError as error:
        if len(content) > ENDPOINT_BYTES and is_too_large(error):
            raise
        return _refusal(error, active)
    body = response["Body"].read(reply.MAX_BYTES + 1)
    if len(body) > reply.MAX_BYTES:
        raise ValueError(f"the container's reply is longer than {reply.MAX_BYTES} bytes")
    return reply.from_json(body)


def _refusal(error: ClientError, active: ActiveModel) -> Refused:
    """Convert a 4xx of the container; raises `error` if it says nothing about the image."""
    if not is_evidence(error):
        raise error
    try:
        container_reply = reply.from_json(container_message(error))
    except ValueError:
        container_reply = None
    if isinstance(container_reply, Refused):
        return container_reply
    # A foreign container does not use our format for its 4xx.
    sentence = f"The endpoint refused this image with HTTP status {container_status(error)}."
    return Refused(Server(str(active.id), "unknown"), "refused", sentence)
