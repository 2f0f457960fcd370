"""Load over HTTP/1.1 on kept connections, by little code: it runs on the cores it loads."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

TIMEOUT_SECONDS = 60
"""No answer for so long is an error and not a figure."""


@dataclass(frozen=True, slots=True)
class TimedResponse:
    status: int
    started: float
    seconds: float


@dataclass(frozen=True, slots=True)
class LoadRequest:
    port: int
    path: str
    content_type: str
    bodies: Sequence[bytes]

    def sent(self, number: int) -> bytes:
        body = self.bodies[number % len(self.bodies)]
        lines = (
            f"POST {self.path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join((*lines, "", "")).encode() + body


class Connection:
    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes) -> TimedResponse:
        started = time.perf_counter()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(sent)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return TimedResponse(int(head[9:12]), started, time.perf_counter() - started)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def closed_loop(request: LoadRequest, clients: int, seconds: float) -> list[TimedResponse]:
    """Each client asks again as soon as it is answered."""
    answers: list[TimedResponse] = []
    end = time.perf_counter() + seconds

    async def client(number: int) -> None:
        connection = Connection(request.port)
        while time.perf_counter() < end:
            answers.append(await connection.ask(request.sent(number)))
            number += clients
        connection.close()

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
    return answers


async def open_loop(request: LoadRequest, rate: float, seconds: float) -> list[TimedResponse]:
    """Asks come at their own pace, whatever becomes of those before."""
    answers: list[TimedResponse] = []
    idle: list[Connection] = []
    began = time.perf_counter()

    async def once(number: int) -> None:
        connection = idle.pop() if idle else Connection(request.port)
        answers.append(await connection.ask(request.sent(number)))
        idle.append(connection)

    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(began + number / rate - time.perf_counter())
            group.create_task(once(number))
    for connection in idle:
        connection.close()
    return answers
