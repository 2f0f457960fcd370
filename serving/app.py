"""SageMaker's container contract over HTTP: /ping, /invocations, /execution-parameters.

There are three kinds of answers: replies about the image (200, or a 4xx with a Refused body; always
200 in a transform job, because one failed object would fail the whole job), errors of the request
(4xx with a message), and errors of the server (429 and 503: try again later; 500: a bug).
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.reply import Refused, to_json
from serving import negotiation
from serving.batcher import QueueFullError
from serving.classifier import Classifier, ScoredImage
from serving.decoding import arrays
from serving.decoding.decoder_pool import DecoderLostError
from serving.decoding.undecodable import Code, UndecodableError
from serving.negotiation import Content, RequestError
from serving.settings import Settings

BODY_SECONDS = 60
"""The time for receiving a body. InvokeEndpoint gives up after 60 s, so a slower sender would only
occupy a place in the queue."""

IDLE_SECONDS = 10
"""The longest pause within a body; then the request is ended, to free its place in the queue."""

RESPONSE_SECONDS = 50
"""The time for answering, from the body's last byte: 503 after it, before the caller times out."""

STATUS_CODES: dict[Code, int] = {"too_large": 413, "unsupported_content_type": 415}

BUSY_STATUS = 429
"""The status of a busy endpoint. SageMaker counts it in Invocation4XXErrors, and the alarm that
rolls an update back watches Invocation5XXErrors (developer guide, "Endpoint invocation metrics"). A
transform job gets 503 instead: Batch Transform retries a 5xx, and a 4xx fails the object."""

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


T = TypeVar("T")


class InferenceService:
    """The three routes. The limit on requests in flight also limits the bodies in memory."""

    def __init__(self, classifier: Classifier, settings: Settings) -> None:
        self._classifier = classifier
        self._settings = settings
        self._in_flight = 0
        self._thumbnails = 0
        self._thumbnail_lock = asyncio.Lock()

    async def ping(self, request: Request) -> Response:
        return Response(status_code=200 if self._classifier.is_alive else 503)

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
            with self._admit():
                return await self._respond(request)
        except UndecodableError as error:
            return self._reject(error)
        except RequestError as error:
            return _message_response(error.status, error.message)
        except QueueFullError:
            return _busy(503 if self._settings.batch else BUSY_STATUS)
        except (DecoderLostError, TimeoutError):
            return _busy(503)
        except ClientDisconnect:
            return Response(status_code=499)

    async def _respond(self, request: Request) -> Response:
        headers = request.headers
        if negotiation.wants_thumbnail(headers.get("Accept", "")):
            return await self._thumbnail(request)
        answer = negotiation.accepted_answer(headers.get("Accept", ""))
        attributes = negotiation.attributes(headers.get(CUSTOM_ATTRIBUTES, ""))
        top_k = negotiation.top_k(attributes, self._settings.top_k)
        features = negotiation.wants_features(attributes)
        if features and answer == "scores":
            raise RequestError(400, "Features are answered as application/json only.")
        content = negotiation.declared_content(headers.get("Content-Type", ""))
        body = await _read_body(request, self._settings.max_body_bytes)
        scored = await _await_unless_disconnected(request, self._classify(body, content))
        if answer == "scores":
            rows = [entry.scores for entry in (scored if isinstance(scored, list) else [scored])]
            return Response(arrays.write_scores(np.stack(rows)), media_type="application/x-npy")
        if isinstance(scored, list):
            replies = (to_json(self._classifier.label(entry, top_k, features)) for entry in scored)
            return _json_response(f"[{', '.join(replies)}]")
        return _json_response(to_json(self._classifier.label(scored, top_k, features)))

    async def _classify(self, body: bytes, content: Content) -> ScoredImage | list[ScoredImage]:
        """A list only for an array of several images, which must not be declared an image."""
        body = await self._classifier.unpack(body)
        if not body.startswith(arrays.MAGIC):
            return await self._classifier.classify_file(body)
        scored = await self._classifier.classify_array(body)
        if isinstance(scored, list) and content == "image":
            raise UndecodableError(
                "unsupported_array",
                f"The file is a NumPy array of {len(scored)} images, and a file is answered as one "
                "image. Save each as an array of its own: H x W x 3.",
            )
        return scored

    async def _thumbnail(self, request: Request) -> Response:
        """Thumbnails are made one at a time and few may wait, as classification has priority."""
        if self._thumbnails >= self._settings.max_thumbnails:
            raise QueueFullError
        self._thumbnails += 1
        try:
            body = await _read_body(request, self._settings.max_body_bytes)
            jpeg = await _await_unless_disconnected(request, self._make_thumbnail(body))
        finally:
            self._thumbnails -= 1
        return Response(jpeg, media_type="image/jpeg")

    async def _make_thumbnail(self, body: bytes) -> bytes:
        async with self._thumbnail_lock:
            return await self._classifier.make_thumbnail(await self._classifier.unpack(body))

    @contextmanager
    def _admit(self) -> Iterator[None]:
        if self._in_flight >= self._settings.queue:
            raise QueueFullError
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def _reject(self, error: UndecodableError) -> Response:
        """The response for an image that cannot be classified.

        In a transform job the status is 200, except for a wrong content type (415), which concerns
        the job's request and not its images.
        """
        reply = Refused(self._classifier.server, error.code, error.message)
        status = STATUS_CODES.get(error.code, 400)
        return _json_response(
            to_json(reply), 200 if self._settings.batch and status != 415 else status
        )


def _busy(status: int) -> Response:
    return _message_response(status, "Busy: try again.", {"Retry-After": "1"})


async def _read_body(request: Request, max_bytes: int) -> bytes:
    """Receive the body.

    Raises UndecodableError (too_large) as soon as it exceeds `max_bytes`, without reading the rest,
    and TimeoutError if the sender pauses too long or is too slow.
    """
    too_large = UndecodableError("too_large", f"The file is larger than {max_bytes:,} bytes.")
    if int(request.headers.get("Content-Length", "0")) > max_bytes:
        raise too_large
    body = BytesIO()
    now = asyncio.get_running_loop().time
    latest = now() + BODY_SECONDS
    async with asyncio.timeout(IDLE_SECONDS) as timeout:
        async for chunk in request.stream():
            timeout.reschedule(min(now() + IDLE_SECONDS, latest))
            if body.tell() + len(chunk) > max_bytes:
                raise too_large
            body.write(chunk)
    return body.getvalue()  # shares the buffer's memory, unlike joining chunks


async def _await_unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await `work`, and cancel it if the client disconnects or RESPONSE_SECONDS have passed.

    Raises ClientDisconnect or TimeoutError. After the body, `request.receive()` returns only when
    the client disconnects.
    """
    answer, disconnected = asyncio.ensure_future(work), asyncio.ensure_future(request.receive())
    try:
        async with asyncio.timeout(RESPONSE_SECONDS):
            await asyncio.wait((answer, disconnected), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        disconnected.cancel()
        if not answer.done():
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)


def _json_response(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")


def _message_response(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"message": message}, status, headers)


async def _handle_fault(request: Request, error: Exception) -> Response:
    """The response to a bug. Starlette raises the error again after it, and uvicorn logs it."""
    return _message_response(500, "The server failed; the image was not judged.")


def create_app(classifier: Classifier, settings: Settings) -> Starlette:
    """The ASGI application; it closes the classifier at shutdown."""
    service = InferenceService(classifier, settings)

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
        exception_handlers={Exception: _handle_fault},
        lifespan=lifespan,
    )
