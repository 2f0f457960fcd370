"""What a request's headers ask for."""

from typing import Literal

from domain.errors import SortboxError
from serving.decoding.undecodable import UndecodableError

MAX_TOP_K = 1_000

Media = Literal["file", "array"]

FILE_CONTENT_TYPES = frozenset(("", "application/x-image", "application/octet-stream"))
"""The declared type only chooses between a file and an array: a file's format is seen, not told."""


class RequestError(SortboxError):
    """The request is at fault, not the image."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def media_kind(content_type: str) -> Media:
    """Raises UndecodableError (unsupported_content_type)."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-npy":
        return "array"
    if kind in FILE_CONTENT_TYPES or kind.startswith("image/"):
        return "file"
    raise UndecodableError(
        "unsupported_content_type",
        f"The content type {kind[:100]!r} is not taken; send image/*, application/x-image, "
        "application/octet-stream or application/x-npy.",
    )


def wants_thumbnail(accept: str) -> bool:
    """Whether nothing but a JPEG will do."""
    return accept.strip().lower() == "image/jpeg"


def check_accept(accept: str) -> None:
    """Raises RequestError (406) unless JSON will do."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if not kinds & {"", "*/*", "application/*", "application/json"}:
        raise RequestError(406, "The answer is application/json, which Accept does not allow.")


def top_k(attributes: str, default: int) -> int:
    """From InvokeEndpoint's CustomAttributes, `top_k=3`; other attributes are not ours to judge.

    Raises RequestError (400).
    """
    for attribute in attributes.replace(";", ",").split(","):
        name, _, text = attribute.partition("=")
        if name.strip().lower() == "top_k":
            return _parse_top_k(text.strip())
    return default


def _parse_top_k(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_TOP_K:
        raise RequestError(
            400, f"top_k must be a whole number from 1 to {MAX_TOP_K}, not {text[:20]!r}."
        )
    return int(text)
