"""Which road an inbox key takes."""

from dataclasses import dataclass

from domain.file_names import is_hidden, is_passed_over
from domain.keys import INBOX
from domain.scope import Scope

READY = "_READY"

ENDPOINT_BYTES = 6_291_456
"""The longest body that InvokeEndpoint takes: a larger single is answered by Batch Transform."""

LARGEST_BYTES = 100_000_000
"""The largest image at all: Batch Transform takes no longer payload (MaxPayloadInMB)."""


@dataclass(frozen=True, slots=True)
class Single:
    """An image at the top of the inbox: the endpoint answers it now."""

    key: str


@dataclass(frozen=True, slots=True)
class InFolder:
    """An image of a folder: it is answered with the folder, by batch transform."""

    key: str
    folder: Scope


@dataclass(frozen=True, slots=True)
class Ready:
    """The marker `_READY`: the folder is complete, start now."""

    folder: Scope


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing a person wants classified."""

    reason: str


Route = Single | InFolder | Ready | Ignored


def route(key: str, folder_depth: int = 1) -> Route:
    """The road of `key` (decoded), where a folder is named by its first `folder_depth` segments."""
    if not key.startswith(INBOX):
        return Ignored("outside the inbox")
    *folders, name = key.removeprefix(INBOX).split("/")
    if name == "":
        return Ignored("folder placeholder")
    folder = Scope("".join(f"{segment}/" for segment in folders[:folder_depth]))
    if any(is_hidden(segment) for segment in folders):
        return Ignored("hidden folder")
    if name == READY and folders:
        return Ready(folder)
    if is_passed_over(name):
        return Ignored("hidden or system file")
    return InFolder(key, folder) if folders else Single(key)
