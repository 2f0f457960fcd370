"""A serverless variant: its container starts with the first request, and stops when it is idle.

One container stands for all that AWS would run. The developer guide (serverless-endpoints) has the
limits: at most MaxConcurrency requests at once, 4 MB a request, 60 s an answer, no GPU, no VPC, no
network isolation, no data capture, one variant. It does not say how long AWS keeps an idle
container, nor with which words it refuses a model that is isolated.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.sagemaker.containers.containers import (
    Container,
    ContainerFailed,
    Containers,
    Reply,
)
from infra.local.sagemaker.core.background import Background
from infra.local.sagemaker.core.errors import (
    ModelNotReadyException,
    ThrottlingException,
    ValidationException,
)
from infra.local.sagemaker.core.operations import Request
from infra.local.sagemaker.core.store import Record
from infra.local.sagemaker.hosting.variant import Deployment

BODY_BYTES = 4 * 1024 * 1024
"""The limit of a request: "4 MB"; Sortbox sends at most 4,000,000 bytes."""

MEMORY_STEP_MB = 1024
POLL_SECONDS = 0.1


def is_serverless(config: Record) -> bool:
    """Whether an endpoint configuration is of a serverless endpoint."""
    [variant] = config["ProductionVariants"]
    return "ServerlessConfig" in variant


def check_config(request: Request, model: Record) -> None:
    """Raises ValidationException for what CreateEndpointConfig refuses of a serverless variant.
    Minima and maxima are in botocore's model, by which every request is checked already.
    """
    [variant] = request["ProductionVariants"]
    config = variant["ServerlessConfig"]
    if "InstanceType" in variant or "InitialInstanceCount" in variant:
        raise ValidationException(
            "A production variant has either a ServerlessConfig or an InstanceType with an "
            "InitialInstanceCount."
        )
    if config["MemorySizeInMB"] % MEMORY_STEP_MB:
        raise ValidationException(
            "MemorySizeInMB: valid values are in 1 GB increments: 1024 MB, 2048 MB, 3072 MB, "
            "4096 MB, 5120 MB, or 6144 MB."
        )
    if config.get("ProvisionedConcurrency", 0) > config["MaxConcurrency"]:
        raise ValidationException(
            "ProvisionedConcurrency should be less than or equal to MaxConcurrency."
        )
    unsupported = {
        "network isolation": model.get("EnableNetworkIsolation"),
        "VPC configuration": model.get("VpcConfig"),
        "data capture": request.get("DataCaptureConfig"),
    }
    for feature, value in unsupported.items():
        if value:
            raise ValidationException(f"Serverless Inference does not support {feature}.")


@dataclass(frozen=True, slots=True)
class Scaling:
    """`most`: MaxConcurrency. `warm`: ProvisionedConcurrency, with which it never stops."""

    most: int
    warm: int
    idle_seconds: float

    @classmethod
    def of(cls, config: Record, idle_seconds: float) -> "Scaling":
        [variant] = config["ProductionVariants"]
        serverless = variant["ServerlessConfig"]
        warm = serverless.get("ProvisionedConcurrency", 0)
        return cls(serverless["MaxConcurrency"], warm, idle_seconds)


class ServerlessVariant:
    """Behaves as `Variant` does, with a container that comes and goes."""

    body_bytes: int | None = BODY_BYTES

    def __init__(self, containers: Containers, deployed: Deployment, scaling: Scaling) -> None:
        self.name = deployed.variant
        self._containers = containers
        self._deployed = deployed
        self._scaling = scaling
        self._container: Container | None = None
        self._starting: asyncio.Task[Container] | None = None
        self._in_flight = 0
        self._last_used = time.monotonic()
        self._idle = asyncio.Event()
        self._idle.set()
        self._background = Background(ContainerFailed)

    @classmethod
    async def start(
        cls, containers: Containers, deployed: Deployment, scaling: Scaling
    ) -> "ServerlessVariant":
        """Start the container once, which shows that the model works. Raises ContainerFailed."""
        variant = cls(containers, deployed, scaling)
        try:
            await variant._wake()
        except ContainerFailed:
            await variant.close()
            raise
        if not scaling.warm:
            variant._background.start(variant._stop_when_idle())
        return variant

    async def invoke(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        """Invoke the container, which is started if it does not run.

        Raises ThrottlingException beyond MaxConcurrency, ModelNotReadyException if the container
        does not start, ContainerSilent, and TimeoutError after `seconds`, its start included.
        """
        if self._in_flight >= self._scaling.most:
            raise ThrottlingException("Rate exceeded")
        self._in_flight += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(seconds):
                return await (await self._wake()).invoke(body, headers, seconds)
        except ContainerFailed as failure:
            raise ModelNotReadyException(str(failure)) from failure
        finally:
            self._in_flight -= 1
            self._last_used = time.monotonic()
            if self._in_flight == 0:
                self._idle.set()

    async def retire(self) -> None:
        """Wait for the calls in progress, each of which has its own time limit, then stop."""
        await self._idle.wait()
        await self.close()

    async def close(self) -> None:
        await self._background.close()
        if self._container is not None:
            await self._container.stop()

    async def _wake(self) -> Container:
        """The running container. A start goes on when the request that waits for it ends."""
        if self._container is not None and self._container.child.is_alive:
            return self._container
        if self._starting is None or self._starting.done():
            self._starting = self._background.start(self._start())
        return await asyncio.shield(self._starting)

    async def _start(self) -> Container:
        ended, self._container = self._container, None
        if ended is not None:
            await ended.stop()
        deployed = self._deployed
        self._container = await self._containers.start(
            deployed.model, deployed.endpoint, {}, "Endpoints"
        )
        self._last_used = time.monotonic()
        return self._container

    async def _stop_when_idle(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            is_idle = time.monotonic() - self._last_used >= self._scaling.idle_seconds
            if self._container is not None and self._in_flight == 0 and is_idle:
                idle, self._container = self._container, None
                await idle.stop()
