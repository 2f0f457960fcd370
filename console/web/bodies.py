"""Bodies of requests, read up to a bound: nothing that a browser sends fills the memory."""

import json
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request


async def read_body(request: Request, most: int) -> bytes:
    """The body, of at most `most` bytes; raises HTTPException (413) for a longer one."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                detail = f"The request is longer than {most:,} bytes"
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    except ClientDisconnect as error:  # nobody is there to read the answer
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The request ended early") from error
    return bytes(body)


async def read_json(request: Request, most: int) -> dict[str, Any]:
    """The body as a JSON object; raises HTTPException (413, 400) for anything else."""
    try:
        document = json.loads(await read_body(request, most))
    except (ValueError, RecursionError) as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The request is not JSON") from error
    if not isinstance(document, dict):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "The request is no JSON object")
    return document
