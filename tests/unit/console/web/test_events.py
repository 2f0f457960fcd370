"""Events for pages: who listens hears everything from then on, and slow ones are cut off."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from starlette.requests import Request
from starlette.responses import StreamingResponse

from console.web.events import MOST_LISTENERS, MOST_WAITING, RETRY, Hub
from domain.errors import SortboxError

REQUEST = Request({"type": "http"})


async def listen(hub: Hub) -> AsyncGenerator[bytes]:
    answer = await hub.events(REQUEST)
    assert isinstance(answer, StreamingResponse)
    stream: Any = answer.body_iterator
    assert await anext(stream) == RETRY
    events: AsyncGenerator[bytes] = stream
    return events


async def heard(events: AsyncGenerator[bytes]) -> list[bytes]:
    """Everything until the stream ends."""
    return [event async for event in events]


def test_all_who_listen_hear_an_event() -> None:
    async def main() -> None:
        hub = Hub()
        listeners = [await listen(hub) for _ in range(3)]
        await asyncio.to_thread(hub.publish, "answers", {"n": 1, "key": "a\nevent: b"})
        await asyncio.to_thread(hub.close)
        for listener in listeners:
            assert await heard(listener) == [
                b'event: answers\ndata: {"n": 1, "key": "a\\nevent: b"}\n\n'
            ]

    asyncio.run(main())


def test_one_who_does_not_keep_up_is_cut_off_and_nobody_else() -> None:
    async def main() -> None:
        hub = Hub()
        slow = await listen(hub)
        for number in range(MOST_WAITING + 1):
            hub.publish("answers", {"n": number})
        await asyncio.sleep(0)
        assert await heard(slow) == [], "the page asks for the present state when it comes back"
        again = await listen(hub)
        hub.publish("answers", {"n": -1})
        await asyncio.sleep(0)
        assert b"-1" in await anext(again)

    asyncio.run(main())


def test_listeners_are_bounded_and_leave() -> None:
    async def main() -> None:
        hub = Hub()
        listeners = [await listen(hub) for _ in range(MOST_LISTENERS)]
        assert (await hub.events(REQUEST)).status_code == 503
        await listeners[0].aclose()
        await listen(hub)

    asyncio.run(main())


def test_work_is_done_only_while_somebody_listens() -> None:
    done: list[float] = []

    async def until(condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.005)

    async def main() -> None:
        hub = Hub()
        hub.every(0.01, lambda: done.append(time.monotonic()))
        await asyncio.sleep(0.05)
        assert done == []
        listener = await listen(hub)
        await until(lambda: len(done) > 2)
        await listener.aclose()
        await asyncio.sleep(0.05)
        count = len(done)
        await asyncio.sleep(0.05)
        assert len(done) == count
        await listen(hub)
        await until(lambda: len(done) > count)
        hub.close()

    asyncio.run(asyncio.wait_for(main(), 30))


def heard_of_failures(*errors: Exception, events: int = 3) -> list[bytes]:
    """The first events of work that fails so at its first turns, and then works."""
    turns = iter(errors)

    def work() -> None:
        error = next(turns, None)
        if error is not None:
            raise error

    async def main() -> list[bytes]:
        hub = Hub()
        hub.every(0.01, work)
        listener = await listen(hub)
        heard = [await anext(listener) for _ in range(events)]
        hub.close()
        return heard

    return asyncio.run(asyncio.wait_for(main(), 60))


def test_what_fails_in_the_background_is_said_once_and_tried_again() -> None:
    down, unreachable = (
        SortboxError("The cloud is down."),
        EndpointConnectionError(endpoint_url="x"),
    )
    first, second, third = heard_of_failures(down, unreachable)
    assert b"The cloud is down." in first
    assert b"AWS does not answer" in second
    assert b'"sentence": ""' in third, "it works again"


def test_a_defect_in_the_background_is_said_and_logged_and_does_not_end_the_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    defects = KeyError("secret of an image"), KeyError("again")
    said, works = heard_of_failures(*defects, events=2)
    assert b"a defect of the console (KeyError in " in said
    assert b"secret" not in said
    assert b'"sentence": ""' in works, "it is tried again, and works"
    (record,) = caplog.records
    assert record.exc_info is not None, "once, with the traceback"
