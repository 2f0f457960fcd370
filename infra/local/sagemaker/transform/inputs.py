"""The objects that a transform job reads, streamed in constant memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from infra.local.sagemaker.containers.transfers import Location

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CHUNK_CHARACTERS = 64 * 1024
"""Characters per read, and therefore the longest element: a key has at most 1,024 bytes."""

DECODER = json.JSONDecoder()


class BadManifest(ValueError):
    """The manifest is invalid; the message says why."""


@dataclass(frozen=True, slots=True)
class Input:
    """An input object. `relative` is the path of its output below the output path."""

    at: Location
    relative: str


def of_prefix(s3: "S3Client", prefix: Location) -> Iterator[Input]:
    """Every object whose key starts with the prefix, relative to the prefix's folder."""
    folder = prefix.key.rpartition("/")[0]
    start = len(folder) + 1 if folder else 0
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
    for page in pages:
        for item in page.get("Contents", []):
            if not item["Key"].endswith("/"):
                yield Input(Location(prefix.bucket, item["Key"]), item["Key"][start:])


def of_manifest(manifest: Path) -> Iterator[Input]:
    """The objects of a manifest `[{"prefix": "s3://bucket/folder/"}, "a.jpg", ...]`. Raises
    BadManifest.
    """
    with manifest.open(encoding="utf-8") as file:
        rows = iter(_Elements(file))
        prefix = _prefix(next(rows, None))
        for row in rows:
            if not isinstance(row, str):
                raise BadManifest(f"manifest: {row!r} is not a relative key")
            yield Input(Location(prefix.bucket, prefix.key + row), row)


def prefix_of(manifest: Path) -> Location:
    """The prefix that a manifest states, which its role must be allowed to list. Raises
    BadManifest.
    """
    with manifest.open(encoding="utf-8") as file:
        return _prefix(next(iter(_Elements(file)), None))


def _prefix(first: object) -> Location:
    match first:
        case {"prefix": str(uri)}:
            return Location.parse(uri)
        case _:
            raise BadManifest('manifest: the first element must be {"prefix": "s3://..."}')


class _Elements:
    """Yields the elements of a JSON array, parsed in chunks of text."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""

    def __iter__(self) -> Iterator[object]:
        self._expect("[")
        if self._peek() == "]":
            return
        while True:
            yield self._element()
            if self._peek() == "]":
                return
            self._expect(",")

    def _peek(self) -> str:
        self._text = self._text.lstrip() or self._file.read(CHUNK_CHARACTERS).lstrip()
        return self._text[:1]

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            raise BadManifest(f"manifest: expected {mark!r}, found {self._text[:40]!r}")
        self._text = self._text[1:]

    def _element(self) -> object:
        self._peek()
        while True:
            try:
                element, end = DECODER.raw_decode(self._text)
            except json.JSONDecodeError as error:
                more = self._file.read(CHUNK_CHARACTERS)
                if not more or len(self._text) > CHUNK_CHARACTERS:
                    raise BadManifest(f"manifest: {error}") from error
                self._text += more
            else:
                self._text = self._text[end:]
                return element
