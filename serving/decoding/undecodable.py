"""The error of a body that cannot be decoded."""

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
    """The bytes cannot be classified, now or later; `message` is a sentence for the sender."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message


def unsupported(variant: str) -> UndecodableError:
    """The rejection of a file that may be whole, but is of a variant that is not decoded."""
    return UndecodableError(
        "unsupported_format", f"{variant} is not supported. Save it as PNG or JPEG and send that."
    )


def corrupt(image_format: str, reason: str) -> UndecodableError:
    """The rejection of a file that contradicts itself."""
    return UndecodableError("corrupt", f"The {image_format} file is damaged: {reason}.")


def truncated(image_format: str) -> UndecodableError:
    """The rejection of a file whose end is missing."""
    return UndecodableError("truncated", f"The {image_format} file ends before its image does.")
