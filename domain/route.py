"""Routing: how an inbox key is answered."""

from dataclasses import dataclass

from domain.ignored.reasons import why_content_ignored, why_ignored
from domain.keys import INBOX, OUTBOX, OWN_FOLDERS
from domain.model import EndpointMode
from domain.scope import Scope

READY = "_READY"

ENDPOINT_BYTES = 6_291_456
"""The body limit of InvokeEndpoint in botocore's service model: every endpoint takes so much."""

LARGE_BODY_BYTES = 25_000_000
"""The body limit in the developer guide. A single image that the endpoint does not take is answered
by Batch Transform."""

SERVERLESS_BYTES = 4_000_000
"""The body limit of a serverless endpoint, 4 MB in the developer guide; decimal, which is below
either meaning of a megabyte."""

NO_ENDPOINT_BYTES = -1
"""The body limit of a stage without an endpoint: it takes not even an empty body."""

LARGEST_BYTES = 100_000_000
"""The largest image that can be classified: Batch Transform's limit for a payload
(MaxPayloadInMB)."""


def endpoint_bytes(mode: EndpointMode) -> int:
    """The size of the largest body that every endpoint of this mode takes."""
    limits = {
        "instance": ENDPOINT_BYTES,
        "serverless": SERVERLESS_BYTES,
        "none": NO_ENDPOINT_BYTES,
    }
    return limits[mode]


@dataclass(frozen=True, slots=True)
class Single:
    """An image directly below `inbox/`: the endpoint answers it, or a job with other singles."""

    key: str


@dataclass(frozen=True, slots=True)
class InFolder:
    """An image of a folder: Batch Transform answers it together with the folder."""

    key: str
    folder: Scope


@dataclass(frozen=True, slots=True)
class Ready:
    """The marker object `_READY`: the folder is complete and its run can start."""

    folder: Scope


ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")

OTHER_ARCHIVES = (
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"MSCF", "a Windows cabinet"),
)
OTHER_COMPRESSIONS = (
    (b"\xfd7zXZ\0", "packed with xz"),
    (b"BZh", "packed with bzip2"),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard"),
    (b"\x04\x22\x4d\x18", "packed with LZ4"),
    (b"\x1f\x9d", "packed with compress"),
    (b"LZIP", "packed with lzip"),
)
"""What is not unpacked here, whatever its name: the first bytes, and what it is."""


@dataclass(frozen=True, slots=True)
class PackedFolder:
    """An archive: its files are unpacked below `prefix`, which is its key without the suffix.

    `folder` answers them: for `inbox/trip.zip` the folder `trip/`, whose run starts at the end.
    """

    key: str
    prefix: str
    folder: Scope


@dataclass(frozen=True, slots=True)
class Ignored:
    """A key that is not classified. `reason` is logged and in the folder's summary: one of few."""

    reason: str


Route = Single | InFolder | Ready | PackedFolder | Ignored


def route(key: str, folder_depth: int = 1) -> Route:
    """The route of `key` (URL-decoded). The first `folder_depth` segments make up its folder."""
    if not key.startswith(INBOX):
        return Ignored("outside the inbox")
    *folders, name = key.removeprefix(INBOX).split("/")
    if name == "":
        return Ignored("folder placeholder")
    folder = Scope("".join(f"{segment}/" for segment in folders[:folder_depth]))
    if folders and folders[0] in OWN_FOLDERS:
        return Ignored(
            f"Sortbox keeps files of its own in {OUTBOX}{folders[0]}/: rename the folder"
        )
    if reason := why_content_ignored(folders):
        return Ignored(reason)
    if name == READY and folders:
        return Ready(folder)
    if reason := why_ignored(name):
        return Ignored(reason)
    stem = _stem_of_archive(name)
    if stem:
        path = "".join(f"{segment}/" for segment in [*folders, stem])
        top = "".join(f"{segment}/" for segment in [*folders, stem][:folder_depth])
        return PackedFolder(key, INBOX + path, Scope(top))
    return InFolder(key, folder) if folders else Single(key)


def _stem_of_archive(name: str) -> str | None:
    """The name without the suffix of an archive, in any case; None for other names."""
    for suffix in ARCHIVE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or None
    return None
