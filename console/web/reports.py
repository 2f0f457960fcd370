"""Stored reports and images: of the outbox, of the inbox, and of training jobs.

Paths below `/reports/` are the keys of the bucket, so the links within a report work. Nothing is
held: an object is read when it is asked for, and streamed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from aws.bucket import Bucket
from aws.errors import is_absent
from console.context import Console
from console.web.rendering import trouble
from domain.keys import INBOX, OUTBOX
from infra.diagnostics import index_page
from infra.job_reports import REPORT_FILES, fetch_once
from infra.models.preview import PREVIEWS
from pages.render import policy

REPORTS = "/reports/"
CHUNK_BYTES = 2**16
JOB = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,62}")
"""The name of a SageMaker job, which is also the name of a folder here."""

PREVIEW = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\.html")
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

PAGE_HEADERS = {"Content-Security-Policy": policy()}
"""The policy of our reports also for what only claims to be one: a job's report is whatever its
output.tar.gz held, and shares its origin with the console."""


@dataclass(frozen=True, slots=True)
class Reports:
    """`index` makes the page of all runs and models; `of_job` fetches a job's reports into a
    folder, None if there are none.
    """

    bucket: Bucket
    index: Callable[[], str]
    of_job: Callable[[str], Path | None]

    @classmethod
    def of(cls, console: Console) -> "Reports":
        bucket = console.bucket
        catalog = console.catalog
        return cls(
            bucket,
            lambda: index_page.page(catalog),
            lambda job: fetch_once(bucket.client, bucket.name, job),
        )

    def routes(self) -> list[BaseRoute]:
        return [
            Route(REPORTS, self._index),
            Route(f"{REPORTS}jobs/{{job}}/{{name:path}}", self._job),
            Route(f"{REPORTS}previews/{{name}}", self._preview),
            Route(f"{REPORTS}{{key:path}}", self._object),
        ]

    def _index(self, request: Request) -> Response:
        return Response(self.index(), headers=PAGE_HEADERS, media_type=TYPES[".html"])

    def _job(self, request: Request) -> Response:
        job, name = request.path_params["job"], request.path_params["name"]
        folder = self.of_job(job) if JOB.fullmatch(job) else None
        if folder is None or name not in REPORT_FILES or not (folder / name).is_file():
            return _absent(request, f"The job {job} has no {name}.")
        kind = TYPES[Path(name).suffix]
        return FileResponse(folder / name, headers=PAGE_HEADERS, media_type=kind)

    def _preview(self, request: Request) -> Response:
        """A page that `preview` has written on this machine."""
        name = request.path_params["name"]
        page = PREVIEWS / name
        if not PREVIEW.fullmatch(name) or not page.is_file():
            return _absent(request, f"There is no preview {name}.")
        return FileResponse(page, headers=PAGE_HEADERS, media_type=TYPES[".html"])

    def _object(self, request: Request) -> Response:
        key = request.path_params["key"]
        if key.startswith(INBOX):
            return stream_object(request, self.bucket, key, None)
        suffix = Path(key).suffix
        is_shown = key.endswith(f"/{PAGE}") if suffix == ".html" else suffix in TYPES
        if key.startswith(OUTBOX) and is_shown:
            return stream_object(request, self.bucket, key, TYPES[suffix])
        return _absent(request, "Nothing is shown under this address.")


def stream_object(request: Request, bucket: Bucket, key: str, media_type: str | None) -> Response:
    """An object; with no type, a picture if its first bytes say so, else a download."""
    try:
        answer = bucket.client.get_object(Bucket=bucket.name, Key=key)
    except ClientError as error:
        if is_absent(error):
            return _absent(request, f"There is no {key}.")
        raise
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


def _absent(request: Request, sentence: str) -> Response:
    return trouble(request, sentence, HTTPStatus.NOT_FOUND)


def _picture_type(first: bytes) -> str | None:
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in PICTURES.items() if first.startswith(magic)), None)


def _rejoin(first: bytes, rest: Iterator[Any]) -> Iterator[bytes]:
    yield first
    yield from rest
