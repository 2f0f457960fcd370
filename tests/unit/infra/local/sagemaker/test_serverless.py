"""What a serverless variant does between its requests, without a process."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from infra.local.sagemaker.containers.containers import ContainerFailed, Definition, Reply
from infra.local.sagemaker.core.errors import ModelNotReadyException, ThrottlingException
from infra.local.sagemaker.hosting.serverless import Scaling, ServerlessVariant
from infra.local.sagemaker.hosting.variant import Deployment

DEPLOYED = Deployment("endpoint", "active", Definition("image", None, {}, "role"))


@dataclass
class FakeContainer:
    """Answers once `may_answer` is set."""

    may_answer: asyncio.Event
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    child: Any = field(default_factory=lambda: SimpleNamespace(is_alive=True))

    async def invoke(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        self.asked.set()
        await self.may_answer.wait()
        return Reply(200, body, {})

    async def stop(self) -> None:
        self.child.is_alive = False


@dataclass
class FakeContainers:
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    started: list[FakeContainer] = field(default_factory=list)
    fails: bool = False

    async def start(self, *_: object) -> FakeContainer:
        if self.fails:
            raise ContainerFailed("no model")
        self.started.append(FakeContainer(self.may_answer))
        return self.started[-1]


async def variant_of(containers: Any, most: int = 2, idle: float = 3600) -> ServerlessVariant:
    return await ServerlessVariant.start(containers, DEPLOYED, Scaling(most, 0, idle))


def test_requests_beyond_the_concurrency_are_throttled() -> None:
    async def story() -> None:
        containers = FakeContainers()
        variant = await variant_of(containers, most=1)
        first = asyncio.create_task(variant.invoke(b"1", {}, 60))
        await containers.started[0].asked.wait()
        with pytest.raises(ThrottlingException, match="Rate exceeded"):
            await variant.invoke(b"2", {}, 60)
        containers.may_answer.set()
        assert (await first).body == b"1"
        assert (await variant.invoke(b"3", {}, 60)).body == b"3"
        await variant.close()

    asyncio.run(story())


def test_a_container_that_has_ended_is_started_again_by_the_next_request() -> None:
    async def story() -> None:
        containers = FakeContainers()
        containers.may_answer.set()
        variant = await variant_of(containers)
        containers.started[0].child.is_alive = False
        assert (await variant.invoke(b"1", {}, 60)).body == b"1"
        assert len(containers.started) == 2
        await variant.close()

    asyncio.run(story())


def test_a_container_that_does_not_start_again_is_not_ready_and_no_error_of_the_model() -> None:
    async def story() -> None:
        containers = FakeContainers()
        variant = await variant_of(containers)
        containers.started[0].child.is_alive, containers.fails = False, True
        with pytest.raises(ModelNotReadyException, match="no model"):
            await variant.invoke(b"1", {}, 60)
        await variant.close()

    asyncio.run(story())


def test_an_idle_container_stops_and_a_busy_one_does_not() -> None:
    async def story() -> None:
        containers = FakeContainers()
        variant = await variant_of(containers, idle=0)
        while containers.started[0].child.is_alive:
            await asyncio.sleep(0)
        request = asyncio.create_task(variant.invoke(b"1", {}, 60))
        while len(containers.started) < 2:
            await asyncio.sleep(0)
        await containers.started[1].asked.wait()
        assert containers.started[1].child.is_alive, "it has a request, however long that takes"
        containers.may_answer.set()
        await request
        await variant.close()

    asyncio.run(story())
