"""Which key of the inbox a person means: folders without their slash, names without `inbox/`."""

import difflib

from aws.bucket import Bucket
from domain import keys
from domain.errors import SortboxError
from domain.keys import INBOX, OUTBOX
from domain.route import Ignored, route
from domain.scope import Scope
from infra.diagnostics.catalog import folder_names


class NoSuchKeyError(SortboxError):
    """Nothing in the inbox or the outbox has this name; the message suggests the nearest."""


def find_key(bucket: Bucket, text: str) -> str:
    """The key of an image, or of a folder with its slash; empty for the whole inbox.

    An image that is gone, but whose answer is there, counts too, and so does the s3:// address of
    a key. Raises NoSuchKeyError.
    """
    if text.startswith("s3://"):
        text = _key_of(bucket, text)
    key = INBOX + text.removeprefix(INBOX)
    if key == INBOX:
        return ""
    if not key.endswith("/") and _is_image(bucket, key):
        return key
    folder = key.rstrip("/") + "/"
    if _is_folder(bucket, folder):
        return folder
    if isinstance(route(key), Ignored):  # worth saying, whether it is there or not
        return key
    raise NoSuchKeyError(_sentence(bucket, key))


def _key_of(bucket: Bucket, address: str) -> str:
    name, _, key = address.removeprefix("s3://").partition("/")
    if name != bucket.name:
        raise NoSuchKeyError(f"{address} is not in the bucket of this stage, {bucket.name}.")
    return key


def _is_image(bucket: Bucket, key: str) -> bool:
    """By the listing, because HEAD is denied for objects that the user may not read."""
    is_there = any(item.key == key for item in bucket.page(key)[:1])
    return is_there or bucket.head(keys.result_key(key)) is not None


def _is_folder(bucket: Bucket, folder: str) -> bool:
    path = folder.removeprefix(INBOX)
    if bucket.page(folder) or bucket.page(OUTBOX + path):
        return True
    return bucket.head(keys.debounce_key(Scope(path).token)) is not None


def _sentence(bucket: Bucket, key: str) -> str:
    parent = key.rstrip("/").rpartition("/")[0] + "/"
    names = [item.key for item in bucket.page(parent)]
    names += [f"{INBOX}{name}" for name in folder_names(bucket)]
    by_case = [name for name in names if name.lower().rstrip("/") == key.lower().rstrip("/")]
    near = by_case or difflib.get_close_matches(key, names, 1)
    hint = f"Did you mean {near[0]!r}?" if near else "`./sortbox ls folders` lists the folders."
    return f"There is no {key}. {hint}"
