"""InvokeEndpoint: pass the request to the endpoint's live variant, or return AWS's error."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.sagemaker.containers.containers import Containers, ContainerSilent, Reply
from infra.local.sagemaker.core.errors import ApiError, ModelError, ValidationError
from infra.local.sagemaker.core.resources import ACCOUNT
from infra.local.sagemaker.hosting.endpoints import Endpoints, LiveVariant

BODY_BYTES = 6_291_456
"""The limit of a response body; and of a request body, unless the server is started with another
limit."""

SERVING = frozenset({"InService", "Updating", "SystemUpdating", "RollingBack"})
HEADER_LENGTH = 1024
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
FORWARDED = ("Content-Type", "Accept", ATTRIBUTES)
RETURNED = ("Content-Type", ATTRIBUTES)
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. "
    "Review the latency metrics for each container in Amazon CloudWatch, "
    "resolve the issue, and try again."
)


@dataclass(frozen=True, slots=True)
class Runtime:
    endpoints: Endpoints
    containers: Containers
    seconds: float
    body_bytes: int = BODY_BYTES
    """The limit of a request body: AWS's documents name both 6,291,456 bytes and 25 MB; it is not
    known which one applies."""

    def limit(self, endpoint: str) -> int:
        """The most bytes of a request body of this endpoint."""
        variant = self.endpoints.live.get(endpoint)
        return (variant and variant.body_bytes) or self.body_bytes

    async def invoke(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Invoke the endpoint; `body` is within `limit`. Raises ValidationError,
        ModelError, and ThrottlingException or ModelNotReadyException of a serverless endpoint.
        """
        if len(headers.get(ATTRIBUTES, "")) > HEADER_LENGTH:
            raise ValidationError(f"CustomAttributes exceed {HEADER_LENGTH} characters.")
        log = str(self.containers.log(endpoint))
        variant = self._variant(endpoint, headers, log)
        sent = {name: headers[name] for name in FORWARDED if name in headers}
        try:
            reply = await variant.invoke(body, sent, self.seconds)
        except TimeoutError as error:
            raise ModelError(0, TIMED_OUT, log) from error
        except ContainerSilent as error:
            raise ModelError(503, f"the container is not answering: {error}", log) from error
        if not 200 <= reply.status < 300:
            raise ModelError(reply.status, reply.body.decode(errors="replace"), log)
        if len(reply.body) > BODY_BYTES:
            raise ModelError(500, f"the answer exceeds {BODY_BYTES} bytes", log)
        returned = {name: reply.headers[name] for name in RETURNED if name in reply.headers}
        return Reply(
            reply.status,
            reply.body,
            returned | {"x-Amzn-Invoked-Production-Variant": variant.name},
        )

    def _variant(self, endpoint: str, headers: Mapping[str, str], log: str) -> LiveVariant:
        try:
            status = self.endpoints.describe({"EndpointName": endpoint})["EndpointStatus"]
        except ApiError as error:
            raise ValidationError(f"Endpoint {endpoint} of account {ACCOUNT} not found.") from error
        if status not in SERVING:
            raise ValidationError(
                f"Endpoint {endpoint} of account {ACCOUNT} is {status}, not InService."
            )
        if endpoint not in self.endpoints.live:
            raise ModelError(503, "the container is starting", log)
        variant = self.endpoints.live[endpoint]
        if headers.get("X-Amzn-SageMaker-Target-Variant", variant.name) != variant.name:
            raise ValidationError(f"Variant not found for endpoint {endpoint}.")
        return variant
