"""Content negotiation: interpret a request's headers."""

from typing import Literal

from domain.errors import SortboxError
from serving.decoding.undecodable import UndecodableError

MAX_TOP_K = 1_000

Media = Literal["file", "array"]

FILE_CONTENT_TYPES = frozenset(("", "application/x-image", "application/octet-stream"))
"""The content types of files, besides image/*. The format of a file is detected by its bytes."""


class RequestError(SortboxError):
    """The request is invalid, as opposed to the image; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def media_kind(content_type: str) -> Media:
    """Whether the body is a file or an array. Raises UndecodableError
    (unsupported_content_type)."""
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
    """Whether the client accepts only a JPEG, which requests a thumbnail."""
    return accept.strip().lower() == "image/jpeg"


def check_accept(accept: str) -> None:
    """Raises RequestError (406) unless the client accepts JSON."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if not kinds & {"", "*/*", "application/*", "application/json"}:
        raise RequestError(406, "The answer is application/json, which Accept does not allow.")


def top_k(attributes: str, default: int) -> int:
    """The number of labels, from InvokeEndpoint's CustomAttributes: `top_k=3`.

    Other attributes are ignored. Raises RequestError (400) for an invalid number.
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
