"""Callers who never finish a head, over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.protocol import HEAD_BYTES, BoundedProtocol

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
WAIT_SECONDS = 20
MEGABYTE = 1_000_000


class Hasty(BoundedProtocol):
    head_seconds = 0.2
    request_seconds = 0.4


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


async def length(request: Request) -> Response:
    return Response(str(len(await request.body())))


def talk(story: Talk, protocol: type[BoundedProtocol] = BoundedProtocol) -> bytes:
    async def serve_and_talk() -> bytes:
        app = Starlette(routes=[Route("/", length, methods=["GET", "POST"])])
        config = uvicorn.Config(
            app, http=protocol, ws="none", lifespan="off", port=0, log_config=None
        )
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await story(reader, writer)
        finally:
            writer.close()
            server.should_exit = True
            await serving

    return asyncio.run(serve_and_talk())


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        pytest.param(HEAD + b"X: ", b"a" * MEGABYTE, id="one header"),
        pytest.param(HEAD, b"A: b\r\n" * 100_000, id="many headers"),
        pytest.param(b"GET /", b"a" * MEGABYTE, id="target"),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\nX: ",
            b"a" * MEGABYTE,
            id="trailer",
        ),
        pytest.param(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n4;", b"a" * MEGABYTE, id="chunk extension"
        ),
    ],
)
def test_what_never_ends_is_refused_within_a_megabyte(start: bytes, piece: bytes) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(start + piece)
        try:
            return await reader.read()
        except ConnectionError:  # it was still sending
            return b"closed"

    answer = talk(endless)
    assert answer == b"closed" or answer.startswith(b"HTTP/1.1 400 ")


def test_a_long_body_in_many_small_chunks_is_read() -> None:
    pieces = 4 * HEAD_BYTES

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"1\r\na\r\n" * pieces + b"0\r\n\r\n")
        return await reader.read()

    assert talk(dripping).endswith(str(pieces).encode())


def test_many_requests_on_one_connection_are_answered() -> None:
    async def pipelined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        request = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000 + b"\r\n"
        writer.write((request + b"\r\n") * 100 + request + b"Connection: close\r\n\r\n")
        return await reader.read()

    assert talk(pipelined).count(b"HTTP/1.1 200 ") == 101


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(HEAD + b"Content-Le", id="head"),
        pytest.param(HEAD + b"Content-Length: 9\r\n\r\na", id="body"),
    ],
)
def test_who_stops_in_the_middle_loses_the_connection(start: bytes) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(start)
        return await reader.read()

    assert talk(half, Hasty) == b""
