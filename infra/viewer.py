"""A small server on this machine that shows a stage's reports in the browser, for `open`.

It reads with the user's own credentials and serves nothing but what a person looks at: reports and
tables of the outbox, pictures of the inbox, and the reports of training jobs. Paths are the keys of
the bucket, so the links within a report work. Three things keep other pages and other users out:
it listens on 127.0.0.1 only, every path begins with a secret, and requests whose Host, Origin or
Sec-Fetch-Site is another's are refused.

It holds no state: a page of the bucket is read when it is asked for, and streamed.
"""

import re
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from botocore.exceptions import ClientError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from aws.bucket import Bucket
from aws.errors import is_absent
from domain.keys import INBOX, OUTBOX
from infra.job_reports import REPORT_FILES
from pages.render import policy

HOST = "127.0.0.1"
CHUNK_BYTES = 2**16
JOBS = "jobs/"
JOB = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,62}")
"""The name of a SageMaker job, which is also the name of a folder here."""

PAGE = "_report.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv; charset=utf-8",
}
PICTURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}
"""Pictures that every browser shows, by their first bytes; others are offered as a download. An
upload is never served as a page, whatever its name."""

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
PAGE_HEADERS = HEADERS | {"Content-Security-Policy": policy()}
"""The policy of our pages also for what only claims to be one: a job's report is whatever its
output.tar.gz held, and shares its origin with the inbox."""

OF_THIS_PAGE = frozenset({"none", "same-origin"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """`index` makes the page of all runs and models; `reports` fetches a job's reports into a
    folder, None if there are none.
    """

    bucket: Bucket
    index: Callable[[], str]
    reports: Callable[[str], Path | None]
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def app(self) -> Starlette:
        prefix = f"/{self.secret}"
        routes = [
            Route(f"{prefix}/", self._index),
            Route(f"{prefix}/{JOBS}{{job}}/{{name:path}}", self._job),
            Route(f"{prefix}/{{key:path}}", self._object),
        ]
        return Starlette(routes=routes)

    def _index(self, request: Request) -> Response:
        if refusal := _refusal(request):
            return refusal
        return Response(self.index(), headers=PAGE_HEADERS, media_type=TYPES[".html"])

    def _job(self, request: Request) -> Response:
        if refusal := _refusal(request):
            return refusal
        job, name = request.path_params["job"], request.path_params["name"]
        folder = self.reports(job) if JOB.fullmatch(job) else None
        if folder is None or name not in REPORT_FILES or not (folder / name).is_file():
            return _absent(f"{job} has no {name}")
        kind = TYPES[Path(name).suffix]
        return FileResponse(folder / name, headers=PAGE_HEADERS, media_type=kind)

    def _object(self, request: Request) -> Response:
        if refusal := _refusal(request):
            return refusal
        key = request.path_params["key"]
        if key.startswith(INBOX):
            return self._stream(key, None)
        suffix = Path(key).suffix
        is_shown = key.endswith(f"/{PAGE}") if suffix == ".html" else suffix in TYPES
        if key.startswith(OUTBOX) and is_shown:
            return self._stream(key, TYPES[suffix])
        return _absent("nothing is shown under this address")

    def _stream(self, key: str, media_type: str | None) -> Response:
        """An object; with no type, a picture if its first bytes say so, else a download."""
        try:
            answer = self.bucket.client.get_object(Bucket=self.bucket.name, Key=key)
        except ClientError as error:
            if is_absent(error):
                return _absent(f"there is no {key}")
            return PlainTextResponse(f"S3 refused {key}: {error}", 502, HEADERS)
        chunks = answer["Body"].iter_chunks(CHUNK_BYTES)
        first = next(chunks, b"")
        headers = PAGE_HEADERS | {"Content-Length": str(answer["ContentLength"])}
        if media_type is None:
            media_type = _picture_type(first)
            headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        if media_type is None:
            media_type = "application/octet-stream"
            headers["Content-Disposition"] = "attachment"
        return StreamingResponse(_rejoin(first, chunks), headers=headers, media_type=media_type)


@dataclass(frozen=True, slots=True)
class ListeningViewer:
    """A viewer that listens; `address` is the URL of its index page."""

    address: str
    run: Callable[[], None]
    """Serves until Ctrl-C."""


def listen(viewer: Viewer) -> ListeningViewer:
    """Listen on a free port of 127.0.0.1."""
    listener = socket.create_server((HOST, 0))
    port = listener.getsockname()[1]
    config = uvicorn.Config(viewer.app(), log_level="error", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    return ListeningViewer(
        f"http://{HOST}:{port}/{viewer.secret}/", partial(server.run, [listener])
    )


def _refusal(request: Request) -> Response | None:
    """For a request that a page of another site made a browser send."""
    _, port = request.scope["server"]
    hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
    host, origin = request.headers.get("host", ""), request.headers.get("origin")
    is_own = host in hosts and (origin is None or origin == f"http://{host}")
    if is_own and request.headers.get("sec-fetch-site", "none") in OF_THIS_PAGE:
        return None
    return PlainTextResponse("Reports are shown to pages of this address only.", 403, HEADERS)


def _absent(sentence: str) -> Response:
    return PlainTextResponse(f"{sentence[:1].upper()}{sentence[1:]}.", 404, HEADERS)


def _picture_type(first: bytes) -> str | None:
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in PICTURES.items() if first.startswith(magic)), None)


def _rejoin(first: bytes, rest: Iterator[Any]) -> Iterator[bytes]:
    yield first
    yield from rest
