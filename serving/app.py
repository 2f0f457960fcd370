"""The SageMaker container contract over HTTP: /ping, /invocations, /execution-parameters.

Three kinds of answer: replies about the image (200, or 4xx with a Refused body; always 200 in a
transform job, where one failed object would mark the whole job Failed), trouble with the request
(4xx with a message), and ours (503 to come back later, 500 for a fault).
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.reply import Labelled, Refused, to_json
from serving import negotiation
from serving.batcher import Full
from serving.classifier import Classifier
from serving.decoding.decoder_pool import Lost
from serving.decoding.undecodable import Code, Undecodable
from serving.negotiation import Declined
from serving.settings import Settings

READ_SECONDS = 60
"""InvokeEndpoint gives up after 60 seconds; a slower sender only holds a place in the queue."""

SILENCE_SECONDS = 10
"""Who sends nothing more of a body for so long gives up the place: others are waiting for it."""

ANSWER_SECONDS = 50
"""From the body's last byte. Callers wait longer: 503 tells them more than a time-out would."""

STATUS: dict[Code, int] = {"too_large": 413, "unsupported_content_type": 415}

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


T = TypeVar("T")


class Service:
    """The three routes. The bound on requests in flight is one on bodies in memory too."""

    def __init__(self, classifier: Classifier, settings: Settings) -> None:
        self._classifier = classifier
        self._settings = settings
        self._in_flight = 0
        self._thumbnails = 0
        self._one_thumbnail = asyncio.Lock()

    async def ping(self, request: Request) -> Response:
        return Response(status_code=200 if self._classifier.alive else 503)

    async def execution_parameters(self, request: Request) -> Response:
        return JSONResponse(
            {
                "MaxConcurrentTransforms": self._settings.max_concurrent_transforms,
                "BatchStrategy": "SINGLE_RECORD",
                "MaxPayloadInMB": self._settings.max_payload_mb,
            }
        )

    async def invocations(self, request: Request) -> Response:
        try:
            with self._place():
                return await self._answer(request)
        except Undecodable as error:
            return self._refused(error)
        except Declined as error:
            return _message(error.status, error.message)
        except (Full, Lost, TimeoutError):
            return _message(503, "Busy: try again.", {"Retry-After": "1"})
        except ClientDisconnect:
            return Response(status_code=499)

    async def _answer(self, request: Request) -> Response:
        headers = request.headers
        if negotiation.wants_thumbnail(headers.get("Accept", "")):
            return await self._thumbnail(request)
        negotiation.check_accept(headers.get("Accept", ""))
        top_k = negotiation.top_k(headers.get(ATTRIBUTES, ""), self._settings.top_k)
        media = negotiation.media(headers.get("Content-Type", ""))
        body = await _read(request, self._settings.max_body_bytes)
        if media == "array":
            return _labelled(await _wanted(request, self._classifier.array(body, top_k)))
        return _labelled(await _wanted(request, self._classifier.file(body, top_k)))

    async def _thumbnail(self, request: Request) -> Response:
        """One at a time, and few may wait: classifying comes first."""
        if self._thumbnails >= self._settings.max_thumbnails:
            raise Full
        self._thumbnails += 1
        try:
            body = await _read(request, self._settings.max_body_bytes)
            jpeg = await _wanted(request, self._one_by_one(body))
        finally:
            self._thumbnails -= 1
        return Response(jpeg, media_type="image/jpeg")

    async def _one_by_one(self, body: bytes) -> bytes:
        async with self._one_thumbnail:
            return await self._classifier.thumbnail(body)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._in_flight >= self._settings.queue:
            raise Full
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def _refused(self, error: Undecodable) -> Response:
        """A job that declares a wrong content type may fail: no image of it was looked at."""
        reply = Refused(self._classifier.server, error.code, error.message)
        status = STATUS.get(error.code, 400)
        return _json(to_json(reply), 200 if self._settings.batch and status != 415 else status)


async def _read(request: Request, max_bytes: int) -> bytes:
    """Raises Undecodable (too_large) as soon as the bound is passed, before the rest is read.

    TimeoutError where the sender falls silent or is too slow.
    """
    too_large = Undecodable("too_large", f"The file is larger than {max_bytes:,} bytes.")
    if int(request.headers.get("Content-Length", "0")) > max_bytes:
        raise too_large
    body = BytesIO()
    now = asyncio.get_running_loop().time
    latest = now() + READ_SECONDS
    async with asyncio.timeout(SILENCE_SECONDS) as patience:
        async for chunk in request.stream():
            patience.reschedule(min(now() + SILENCE_SECONDS, latest))
            if body.tell() + len(chunk) > max_bytes:
                raise too_large
            body.write(chunk)
    return body.getvalue()  # shares the memory; a join would hold a large body twice


async def _wanted(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Ends the work once nobody waits for it: ClientDisconnect, or TimeoutError before they go.

    Of a request whose body was read, all that can come is that its caller has gone.
    """
    answer, gone = asyncio.ensure_future(work), asyncio.ensure_future(request.receive())
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        gone.cancel()
        if not answer.done():
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)


def _labelled(replies: Labelled | list[Labelled]) -> Response:
    if isinstance(replies, Labelled):
        return _json(to_json(replies))
    return _json(f"[{', '.join(to_json(reply) for reply in replies)}]")


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")


def _message(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"message": message}, status, headers)


async def _fault(request: Request, error: Exception) -> Response:
    """Starlette raises the error again once this is sent, and the server logs it."""
    return _message(500, "The server failed; the image was not judged.")


def build(classifier: Classifier, settings: Settings) -> Starlette:
    service = Service(classifier, settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(classifier.close)

    return Starlette(
        routes=[
            Route("/ping", service.ping),
            Route("/invocations", service.invocations, methods=["POST"]),
            Route("/execution-parameters", service.execution_parameters),
        ],
        exception_handlers={Exception: _fault},
        lifespan=lifespan,
    )
