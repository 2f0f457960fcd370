"""The previous release, as `record.py` stored it."""

import base64
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from infra.shipped import BUNDLE_PACKAGES, REPOSITORY
from infra.stacks import bundle

FIXTURE = REPOSITORY / "tests" / "fixtures" / "release"


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    body: bytes
    metadata: dict[str, str]


def at_rest() -> Iterator[StoredObject]:
    """The bucket after everything was answered, oldest object first."""
    return _objects(FIXTURE / "state.jsonl")


def under_way() -> Iterator[StoredObject]:
    """What a folder's open run and a folder's timer had added."""
    return _objects(FIXTURE / "open.jsonl")


def _objects(lines: Path) -> Iterator[StoredObject]:
    for line in lines.read_text().splitlines():
        fields = json.loads(line)
        is_text = "text" in fields
        body = fields["text"].encode() if is_text else base64.b64decode(fields["base64"])
        yield StoredObject(fields["key"], body, fields["metadata"])


@cache
def stage() -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((FIXTURE / "stage.json").read_text())
    return fields


@cache
def files() -> dict[str, bytes]:
    """What is in release.tar.xz, by path."""
    contents = {}
    with tarfile.open(FIXTURE / "release.tar.xz") as packed:
        for member in packed:
            content = packed.extractfile(member)
            assert content is not None
            contents[member.name] = content.read()
    return contents


def template(name: str) -> str:
    return files()[f"templates/{name}"].decode()


def write_sources(folder: Path) -> None:
    """The release's packages, from which its stand-in for the container is started."""
    for name, content in files().items():
        if name.endswith(".py"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def lambda_zip(folder: Path) -> bytes:
    """The release's functions, with the third parties' packages of today's bundle."""
    bundle.build(folder / "lambda.zip")
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as old, ZipFile(folder / "lambda.zip") as new:
        for name in new.namelist():
            if not name.startswith(OURS):
                old.writestr(name, new.read(name))
        for name, content in files().items():
            if name.startswith(OURS):
                old.writestr(name, content)
    return packed.getvalue()


OURS = tuple(f"{package}/" for package in BUNDLE_PACKAGES)
