"""Where a member of an archive goes, and how it gets there without replacing what others put there.

Metadata says which archive, version and entry an object came from. So a step that is repeated after
a crash recognises what it has written, a later version of the archive replaces what an earlier one
unpacked, and only where the content differs; and what people put there stays.
"""

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from typing import Literal

from aws.bucket import Bucket
from batch.claim import WRITE_ATTEMPTS, ContendedError
from domain.file_names import UnsafeName, relative
from domain.keys import KEY_BYTES, SAME_NAMES, numbered
from domain.result import Version
from domain.route import Ignored, InFolder, PackedFolder, Ready, Single, route

ARCHIVE, MEMBER, CONTENT = "sortbox-archive", "sortbox-member", "sortbox-content"
NAME = "sortbox-name"
"""Of the key that the entry asked for: `cat (2).jpg` may be a name, and no twin of `cat.jpg`."""

UNSAFE = "its name is not a safe path"
NESTED = "an archive within an archive"
TAKEN = "another file has its name, which did not come from this archive"
CROWDED = f"{SAME_NAMES} files with its name are there already"

Written = Literal["written", "unchanged", "taken", "crowded"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry that is not unpacked; `reason` is counted, `detail` says more."""

    reason: str
    detail: str = ""


def target(archive: PackedFolder, name: str, folder_depth: int) -> str | LeftOut:
    """The inbox key for a member of this name."""
    try:
        path = relative(re.sub(r"^(\./)+", "", name))
    except UnsafeName as error:
        return LeftOut(UNSAFE, str(error))
    if re.match("[A-Za-z]:", name):
        return LeftOut(UNSAFE, "it begins with a drive")
    key = f"{archive.prefix}{path}"
    if len(key.encode()) > KEY_BYTES:
        return LeftOut("its key would be longer than S3 takes")
    match route(key, folder_depth):
        case InFolder() | Single():
            return key
        case PackedFolder():
            return LeftOut(NESTED)
        case Ready():
            return LeftOut("a mark that is not needed: the folder's run starts by itself")
        case Ignored(reason):
            return LeftOut(reason)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a member comes from: its archive, that version of it, and the entry's number."""

    archive: str
    version: Version
    number: int

    def metadata(self, content: bytes) -> dict[str, str]:
        version = self.version.id or self.version.etag
        return {
            ARCHIVE: _digest(self.archive.encode()),
            MEMBER: f"{_digest(version.encode())}-{self.number}",
            CONTENT: _digest(content),
        }


def write(bucket: Bucket, key: str, content: bytes, origin: Origin) -> Written:
    """Write a member, unless the key has another owner; other entries of its name get a number."""
    metadata = origin.metadata(content) | {NAME: _digest(key.encode())}
    kind = mimetypes.guess_type(key)[0] or "binary/octet-stream"
    if bucket.replace(key, content, None, kind, metadata):  # the usual case needs one call
        return "written"
    for _ in range(WRITE_ATTEMPTS):
        place = _find_place(bucket, key, content, metadata)
        if not isinstance(place, _Place):
            return place
        if bucket.replace(place.key, content, place.etag, kind, metadata):
            return "written"
    raise ContendedError(f"{key} changed {WRITE_ATTEMPTS} times")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to write a member: in place of the object with this ETag, or of none."""

    key: str
    etag: str | None


def _find_place(
    bucket: Bucket, key: str, content: bytes, metadata: dict[str, str]
) -> _Place | Written:
    """The place for an entry whose key is not free: under its name or a numbered one.

    What an earlier version of the archive left is replaced, the last of its name first, so that
    entries of one name do not replace each other.
    """
    place: _Place | None = None
    for name in numbered(key):
        head = bucket.head(name)
        if head is None:
            return place or _Place(name, None)
        origin = head.metadata
        if origin.get(MEMBER) == metadata[MEMBER]:
            return "written"  # by this entry, before a crash
        is_of_archive = origin.get(ARCHIVE) == metadata[ARCHIVE]
        if is_of_archive and origin.get(NAME) == metadata[NAME]:
            if origin.get(CONTENT) == metadata[CONTENT]:
                return "unchanged"
            if _version_of(origin) != _version_of(metadata):
                place = _Place(name, head.listed.etag)
        elif name == key and not is_of_archive:
            is_same = head.listed.etag == hashlib.md5(content, usedforsecurity=False).hexdigest()
            return "unchanged" if is_same else "taken"
    return place or "crowded"


def _version_of(metadata: dict[str, str]) -> str:
    return metadata.get(MEMBER, "").partition("-")[0]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
