"""The objects a transform job reads, one after another in constant memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from infra.local.sagemaker.locations import Location

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CHUNK = 64 * 1024


class BadManifest(ValueError):
    """Says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Input:
    """`relative` is the object's place below the output path."""

    at: Location
    relative: str


def of_prefix(s3: "S3Client", prefix: Location) -> Iterator[Input]:
    """Every object whose key starts with the prefix, relative to the prefix's folder."""
    folder = prefix.key.rpartition("/")[0]
    start = len(folder) + 1 if folder else 0
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
    for page in pages:
        for found in page.get("Contents", []):
            if not found["Key"].endswith("/"):
                yield Input(Location(prefix.bucket, found["Key"]), found["Key"][start:])


def of_manifest(manifest: Path) -> Iterator[Input]:
    """`[{"prefix": "s3://bucket/folder/"}, "a.jpg", ...]`; raises BadManifest where it is not."""
    with manifest.open(encoding="utf-8") as file:
        rows = _elements(file)
        prefix = _prefix(next(rows, None))
        for row in rows:
            if not isinstance(row, str):
                raise BadManifest(f"manifest: {row!r} is not a relative key")
            yield Input(Location(prefix.bucket, prefix.key + row), row)


def _prefix(first: object) -> Location:
    match first:
        case {"prefix": str(uri)}:
            return Location.parse(uri)
        case _:
            raise BadManifest('manifest: the first element must be {"prefix": "s3://..."}')


def _elements(file: IO[str]) -> Iterator[object]:
    """The elements of one JSON array, reading as few characters ahead as it can."""
    decoder = json.JSONDecoder()
    text, separator = "", "["
    while True:
        text = _read_on(text, file)
        if text.startswith("]") and separator == ",":
            return
        if not text.startswith(separator):
            raise BadManifest(f"manifest: expected {separator!r} before {text[:40]!r}")
        text = text[1:]
        while True:
            try:
                element, end = decoder.raw_decode(text.lstrip())
                break
            except json.JSONDecodeError as error:
                more = file.read(CHUNK)
                if not more or len(text) > CHUNK:
                    raise BadManifest(f"manifest: {error}") from error
                text += more
        text, separator = text.lstrip()[end:], ","
        yield element


def _read_on(text: str, file: IO[str]) -> str:
    text = text.lstrip()
    return text or file.read(CHUNK).lstrip()
