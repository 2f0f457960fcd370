"""The one way to say that a body holds no image that can be classified."""

from typing import Literal

from domain.errors import SortboxError

Code = Literal[
    "empty",
    "not_an_image",
    "unsupported_format",
    "unsupported_array",
    "truncated",
    "corrupt",
    "too_many_pixels",
    "too_large",
    "too_expensive",
    "unsupported_content_type",
]


class UndecodableError(SortboxError):
    """These bytes will never be classified; `message` is a sentence for whoever sent them."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
