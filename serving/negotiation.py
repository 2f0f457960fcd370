"""Content negotiation: interpret a request's headers."""

from collections.abc import Mapping
from typing import Literal

from domain.errors import SortboxError
from serving.decoding.undecodable import UndecodableError

MAX_TOP_K = 1_000

Content = Literal["image", "any"]
"""What a request declares its body to be. Its bytes decide what it is; `image` only excludes an
array of several, because a caller who sends a file expects one answer."""

Answer = Literal["labels", "scores"]

UNDECLARED_TYPES = frozenset(
    ("", "application/octet-stream", "binary/octet-stream", "application/x-npy")
)
"""The content types that say nothing, or nothing that counts: the defaults of callers, of S3 and of
the SageMaker SDK."""


class RequestError(SortboxError):
    """The request is invalid, as opposed to the image; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def declared_content(content_type: str) -> Content:
    """Raises UndecodableError (unsupported_content_type) for types that are not of images."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in UNDECLARED_TYPES:
        return "any"
    if kind == "application/x-image" or kind.startswith("image/"):
        return "image"
    raise UndecodableError(
        "unsupported_content_type",
        f"The content type {kind[:100]!r} is not taken; send image/*, application/x-image, "
        "application/octet-stream, binary/octet-stream or application/x-npy.",
    )


def wants_thumbnail(accept: str) -> bool:
    """Whether the client accepts only a JPEG, which requests a thumbnail."""
    return accept.strip().lower() == "image/jpeg"


def accepted_answer(accept: str) -> Answer:
    """Labels as JSON wherever the client takes them; scores as a NumPy array where it takes only
    that, as the SageMaker SDK's PyTorchPredictor does. Raises RequestError (406)."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if kinds & {"", "*/*", "application/*", "application/json"}:
        return "labels"
    if "application/x-npy" in kinds:
        return "scores"
    raise RequestError(
        406, "The answer is application/json or application/x-npy; Accept allows neither."
    )


Attributes = Mapping[str, str]
"""Names in lower case, and values."""


def attributes(header: str) -> Attributes:
    """InvokeEndpoint's CustomAttributes: `top_k=3, features=true`. The first of equal names counts,
    and names that nobody knows are ignored."""
    values: dict[str, str] = {}
    for attribute in header.replace(";", ",").split(","):
        name, _, text = attribute.partition("=")
        values.setdefault(name.strip().lower(), text.strip())
    return values


def wants_features(attributes: Attributes) -> bool:
    """Whether replies carry features: `features=true`. Raises RequestError (400)."""
    text = attributes.get("features", "false")
    if text.lower() not in ("true", "false"):
        raise RequestError(400, f"features must be true or false, not {text[:20]!r}.")
    return text.lower() == "true"


def top_k(attributes: Attributes, default: int) -> int:
    """The number of labels: `top_k=3`. Raises RequestError (400) for an invalid number."""
    if "top_k" not in attributes:
        return default
    text = attributes["top_k"]
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    number = int(digits) if 0 < len(digits) <= len(str(MAX_TOP_K)) else 0
    if not 1 <= number <= MAX_TOP_K:
        raise RequestError(
            400, f"top_k must be a whole number from 1 to {MAX_TOP_K}, not {text[:20]!r}."
        )
    return number
