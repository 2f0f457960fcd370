"""The page to drop images on, and the requests that it sends.

The page asks what is to be sent (`plan`), sends each file in one request or in parts, and writes
`_READY` when the last file of a folder is there. Every write names what it may replace: nothing, or
the object that the person has decided about. So a request that is repeated is harmless, and of two
uploads of one key one is asked about.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from aws.bucket import ObjectHead
from console.context import Console
from console.uploads.content import FORM, METADATA, PART_BYTES, is_same, part_count
from console.uploads.large import LargeFile, LargeUploads, UploadGoneError, content_type
from console.uploads.paths import NotSent, PathRefusedError, check_key, key_of
from console.web.bodies import read_body, read_json
from console.web.events import Hub
from console.web.rendering import page
from domain.keys import INBOX, SAME_NAMES, numbered
from domain.route import READY

FILES_AT_ONCE = 4
"""Files that a page sends at the same time; browsers have six connections for all its tabs."""

PLANNED_FILES = 200
"""The most files of one `plan`."""

JSON_BYTES = 2**21
"""Room for PLANNED_FILES paths of 1,024 bytes, each written as an escape of six."""

HEADS_AT_ONCE = 16
BODIES_AT_ONCE = 8
"""Bodies that this process holds: 128 MiB, however many pages send."""

ETAG = re.compile(r"[\w-]{1,128}", re.ASCII)

Json = dict[str, Any]


def routes(console: Console, hub: Hub) -> list[BaseRoute]:
    return Drop(console).routes()


@dataclass(frozen=True, slots=True)
class Drop:
    console: Console
    bodies: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BODIES_AT_ONCE))

    def routes(self) -> list[BaseRoute]:
        answers: dict[str, Callable[[Json], Json]] = {
            "plan": self._plan,
            "compare": self._compare,
            "number": self._number,
            "begin": self._begin,
            "finish": self._finish,
            "ready": self._ready,
        }
        return [
            Route("/drop", self._page),
            *(_json_route(f"/api/drop/{name}", answer) for name, answer in answers.items()),
            Route("/api/drop/file", self._file, methods=["PUT"]),
            Route("/api/drop/part", self._part, methods=["PUT"]),
        ]

    def _page(self, request: Request) -> Response:
        return page(
            request,
            "uploads/drop.html.jinja",
            title="Drop",
            folder=request.query_params.get("folder", ""),
            part_bytes=PART_BYTES,
            files_at_once=FILES_AT_ONCE,
            planned_files=PLANNED_FILES,
        )

    def _plan(self, document: Json) -> Json:
        """What is to become of each file: `absent` and `there` are the state of its key."""
        files = document.get("files")
        if not isinstance(files, list) or len(files) > PLANNED_FILES:
            raise _bad(f"`files` is a list of at most {PLANNED_FILES}")

        def state(file: Any) -> Json:
            key = key_of(_text(file, "path"), _size(file))
            if isinstance(key, NotSent):
                return {"state": key.state, "reason": key.reason}
            return _state(self.console.bucket.head(key))

        with ThreadPoolExecutor(HEADS_AT_ONCE) as pool:
            return {"files": list(pool.map(state, files))}

    def _compare(self, document: Json) -> Json:
        """The state of the file's key; `same` if it holds this content."""
        key = check_key(_text(document, "path"), _size(document))
        return self._content_state(key, document)

    def _content_state(self, key: str, document: Json) -> Json:
        head = self.console.bucket.head(key)
        size, fingerprint = _size(document), _fingerprint(document)
        if head is not None and is_same(self.console.bucket, head, size, fingerprint):
            return {"state": "same"}
        return _state(head)

    def _number(self, document: Json) -> Json:
        """The path to keep a file under beside another of its name: the first with a number that
        is free (`absent`), or has this content (`same`)."""
        for key in numbered(check_key(_text(document, "path"), _size(document)))[1:]:
            state = self._content_state(key, document)
            if state["state"] != "there":
                return state | {"path": key.removeprefix(INBOX)}
        raise PathRefusedError(
            f"The inbox has {SAME_NAMES} files of this name, or it is too long for a number: "
            "rename the file."
        )

    async def _file(self, request: Request) -> Response:
        """Write a file of one part, if its key is as the page says."""
        key = check_key(_query(request, "path"))
        etag = _etag(request.query_params)
        bucket = self.console.uploads

        def write(body: bytes, digest: str) -> bool:
            return bucket.replace(key, body, etag, content_type(key), {METADATA: digest})

        async with self.bodies:
            body = await read_body(request, PART_BYTES)
            digest = await run_in_threadpool(_check, body, _query(request, "sha256"))
            is_written = await run_in_threadpool(write, body, digest)
        return _written(is_written)

    async def _part(self, request: Request) -> Response:
        file = _large_file(request.query_params)
        number = _query(request, "number")
        if not number.isascii() or not number.isdigit() or len(number) > 5:
            raise _bad("`number` is the number of a part")
        async with self.bodies:
            body = await read_body(request, PART_BYTES)
            await run_in_threadpool(_check, body, _query(request, "sha256"))
            try:
                await run_in_threadpool(self._large.put, file, int(number), body)
            except UploadGoneError as error:
                return _conflict("gone", str(error))
        return JSONResponse({"state": "written"})

    def _begin(self, document: Json) -> Json:
        """Begin to send a large file, or go on; answers the parts that S3 lacks."""
        return {"missing": self._large.begin(_large_file(document))}

    def _finish(self, document: Json) -> Json:
        try:
            is_written = self._large.finish(_large_file(document), _etag(document))
        except UploadGoneError as error:
            return {"state": "gone", "reason": str(error)}
        return {"state": "written" if is_written else "changed"}

    def _ready(self, document: Json) -> Json:
        """Write `_READY`, which starts the folder's run."""
        folder = _text(document, "folder")
        path = f"{folder}/{READY}"
        outcome = key_of(path, 0)
        if "/" in folder or not isinstance(outcome, NotSent) or outcome.state != "marker":
            raise PathRefusedError("Only a folder of the inbox can be started.")
        bucket = self.console.bucket
        bucket.client.put_object(Bucket=bucket.name, Key=f"{INBOX}{path}", Body=b"")
        return {"state": "written"}

    @property
    def _large(self) -> LargeUploads:
        return LargeUploads(self.console.uploads, self.console.folder / "uploads")


def _json_route(path: str, answer: Callable[[Json], Json]) -> Route:
    async def endpoint(request: Request) -> Response:
        document = await read_json(request, JSON_BYTES)
        return JSONResponse(await run_in_threadpool(answer, document))

    return Route(path, endpoint, methods=["POST"])


def _state(head: ObjectHead | None) -> Json:
    if head is None:
        return {"state": "absent"}
    return {"state": "there", "size": head.listed.size, "etag": head.listed.etag}


def _written(is_written: bool) -> Response:
    if is_written:
        return JSONResponse({"state": "written"})
    return _conflict("changed", "Another upload has written this file meanwhile.")


def _conflict(state: str, sentence: str) -> Response:
    return JSONResponse({"state": state, "error": sentence}, HTTPStatus.CONFLICT)


def _check(body: bytes, sha256: str) -> str:
    """The hash of a body, which has to be the one that the page sent with it."""
    digest = hashlib.sha256(body).hexdigest()
    if digest != sha256:
        raise _bad("The file has changed while it was sent: drop it again")
    return digest


def _large_file(document: Any) -> LargeFile:
    size = _size(document)
    key, fingerprint = check_key(_text(document, "path"), size), _fingerprint(document)
    if part_count(size) == 1 or not fingerprint.endswith(f"-{part_count(size)}"):
        raise _bad("The fingerprint is not that of a file of this size")
    return LargeFile(key, size, fingerprint)


def _text(document: Any, name: str) -> str:
    value = document.get(name) if hasattr(document, "get") else None
    if not isinstance(value, str):
        raise _bad(f"`{name}` is a text")
    return value


def _size(document: Any) -> int:
    value = document.get("size") if hasattr(document, "get") else None
    if isinstance(value, str) and value.isascii() and value.isdigit():  # of a query
        value = int(value[:20])
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _bad("`size` is a number of bytes")
    return value


def _fingerprint(document: Any) -> str:
    value = _text(document, "fingerprint")
    if not FORM.fullmatch(value):
        raise _bad("`fingerprint` is a SHA-256 of the file")
    return value


def _etag(document: Any) -> str | None:
    """The object that the file may replace; None: the key has to be free."""
    value = document.get("etag")
    if value is not None and not (isinstance(value, str) and ETAG.fullmatch(value)):
        raise _bad("`etag` is the ETag of an object")
    return value


def _query(request: Request, name: str) -> str:
    return _text(request.query_params, name)


def _bad(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.BAD_REQUEST, detail)
