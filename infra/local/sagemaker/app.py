"""The HTTP interface: SageMaker's JSON protocol and its runtime API."""

import json
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from infra.local.access.guard import SIGNER
from infra.local.sagemaker import service_quotas
from infra.local.sagemaker.core import operations
from infra.local.sagemaker.core.errors import ApiError, ValidationException
from infra.local.sagemaker.service import SageMakerService, SageMakerSettings, run_service

TARGET = "SageMaker."
REQUEST_BYTES = 4 * 1024 * 1024

logger = logging.getLogger(__name__)


class TooLarge(Exception):
    """The body exceeds its limit. It was read to its end, so that the client reads the response."""


class State(TypedDict):
    service: SageMakerService


def application(settings: SageMakerSettings) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        async with run_service(settings) as service:
            yield {"service": service}

    return Starlette(
        routes=[
            Route("/ping", ping, methods=["GET"]),
            Route("/", perform, methods=["POST"]),
            Route("/endpoints/{endpoint}/invocations", invoke, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


async def ping(request: Request) -> Response:
    return PlainTextResponse("ok")


async def perform(request: Request) -> Response:
    """Perform one operation of the JSON 1.1 protocol."""
    service: SageMakerService = request.state.service
    target = request.headers.get("X-Amz-Target", "")
    name = target.rpartition(".")[2]
    try:
        members = _members(await _body(request, REQUEST_BYTES))
        if target.startswith(service_quotas.TARGET):
            answer = service.service_quotas.perform(name, members)
        else:
            name = target.removeprefix(TARGET)
            service.rates.take(name)
            operations.check(service.table, name, members)
            await service.gate.admit(request.scope.get(SIGNER, ""), name, members)
            answer = operations.perform(service.table, name, members)
    except TooLarge:
        return _refusal(ValidationException(f"a request exceeds {REQUEST_BYTES} bytes"))
    except ApiError as error:
        logger.info("%s: %s: %s", name, error.code, error)
        return _refusal(error)
    return JSONResponse(answer, headers=_identity(), media_type="application/x-amz-json-1.1")


async def invoke(request: Request) -> Response:
    """Invoke an endpoint. Bodies are passed on unchanged and never logged."""
    service: SageMakerService = request.state.service
    endpoint: str = request.path_params["endpoint"]
    limit = service.runtime.limit(endpoint)
    try:
        body = await _body(request, limit)
        await service.gate.admit_invocation(request.scope.get(SIGNER, ""), endpoint)
        reply = await service.runtime.invoke(endpoint, body, request.headers)
    except TooLarge:
        # AWS rejects it before the service, without an error code, so clients show the status.
        sentence = f"HTTP content length exceeded {limit} bytes."
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return JSONResponse({"Message": sentence}, status, headers=_identity())
    except ApiError as error:
        return _refusal(error)
    return Response(reply.body, reply.status, headers={**reply.headers, **_identity()})


async def _body(request: Request, limit: int) -> bytes:
    """Read the body in memory of at most `limit` and one chunk. Raises TooLarge."""
    body = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            body += chunk
    if size > limit:
        raise TooLarge
    return bytes(body)


def _members(body: bytes) -> dict[str, object]:
    try:
        members = json.loads(body or b"{}")
    except ValueError as error:
        raise ValidationException("the request is not JSON") from error
    if not isinstance(members, dict):
        raise ValidationException("the request is not a JSON object")
    return members


def _refusal(error: ApiError) -> Response:
    """An error response. JSON 1.1 has the code in `__type`, the runtime's protocol in a header."""
    headers = _identity() | {"x-amzn-ErrorType": error.code}
    return JSONResponse({"__type": error.code, **error.body}, error.status, headers=headers)


def _identity() -> dict[str, str]:
    return {"x-amzn-RequestId": str(uuid.uuid4())}
