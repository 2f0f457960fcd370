"""A production variant: the container behind an endpoint, restarted when it exits."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.sagemaker.containers.containers import (
    Container,
    ContainerFailed,
    Containers,
    Definition,
    Reply,
)
from infra.local.sagemaker.core.background import Background

logger = logging.getLogger(__name__)

RESTART_SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Delays before each attempt to restart; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The variant that an endpoint configuration defines for an endpoint."""

    endpoint: str
    variant: str
    model: Definition


class Variant:
    body_bytes: int | None = None
    """The limit of a request body; None: the server's."""

    def __init__(self, containers: Containers, deployed: Deployment, container: Container) -> None:
        self.name = deployed.variant
        self._containers = containers
        self._deployed = deployed
        self._container = container
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._background = Background()
        self._background.start(self._keep_alive())

    @classmethod
    async def start(cls, containers: Containers, deployed: Deployment) -> "Variant":
        """Start the variant's container. Raises ContainerFailed."""
        container = await containers.start(deployed.model, deployed.endpoint, {}, "Endpoints")
        return cls(containers, deployed, container)

    async def invoke(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        """Invoke the container. Raises ContainerSilent, or TimeoutError after `seconds`."""
        self._in_flight += 1
        self._idle.clear()
        try:
            return await self._container.invoke(body, headers, seconds)
        finally:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._idle.set()

    async def retire(self) -> None:
        """Wait for the calls in progress, each of which has its own time limit, then stop."""
        await self._idle.wait()
        await self.close()

    async def close(self) -> None:
        await self._background.close()
        await self._container.stop()

    async def _keep_alive(self) -> None:
        while True:
            status = await self._container.exited()
            logger.warning("container of %s exited: %s", self._deployed.endpoint, status)
            await self._container.stop()
            self._container = await self._restart()

    async def _restart(self) -> Container:
        tries = 0
        while True:
            await asyncio.sleep(RESTART_SECONDS[min(tries, len(RESTART_SECONDS) - 1)])
            tries += 1
            try:
                return await self._containers.start(
                    self._deployed.model, self._deployed.endpoint, {}, "Endpoints"
                )
            except ContainerFailed as failure:
                logger.warning("cannot restart %s: %s", self._deployed.endpoint, failure)
