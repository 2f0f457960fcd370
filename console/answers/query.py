"""The gallery's query string: which answers, in which order. Every state of the page has a URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from console.answers.index import AnswerFilter, Sort
from domain import timestamps
from domain.errors import SortboxError
from domain.keys import INBOX, KEY_BYTES
from domain.model import DECISIONS

MOST_ROWS = 500
"""The most answers of one request."""

LARGEST_NUMBER = 2**31
TEXTS = ("label", "model", "name")


class GalleryQueryError(SortboxError):
    """The query string of the gallery has a value that it cannot have."""


@dataclass(frozen=True, slots=True)
class GalleryQuery:
    """`seed` chooses the random order of the sort `sample`. `unlike` begins with images that are
    called otherwise than their neighbours, and is none of the index: `console.answers.unlike`.
    """

    chosen: AnswerFilter
    sort: Sort | Literal["unlike"]
    seed: int
    offset: int
    limit: int


def parse(values: Mapping[str, str]) -> GalleryQuery:
    """Parse a query string; an empty value is none, and unknown names are ignored.

    Raises GalleryQueryError.
    """
    texts = {name: _text(values, name) for name in TEXTS}
    chosen = AnswerFilter(
        status=_choice(values, "status", ("", "classified", "rejected")),
        decision=_choice(values, "decision", ("", *DECISIONS)),
        folder=_folder(values),
        low=_score(values, "low"),
        high=_score(values, "high"),
        unsure=_score(values, "unsure"),
        since=_day(values, "since"),
        until=_day(values, "until"),
        **texts,
    )
    sorts: dict[str, Sort | Literal["unlike"]] = {name: name for name in get_args(Sort)}
    sorts["unlike"] = "unlike"
    return GalleryQuery(
        chosen=chosen,
        sort=sorts[_choice(values, "sort", tuple(sorts))] if values.get("sort") else "newest",
        seed=_number(values, "seed", 0),
        offset=_number(values, "offset", 0),
        limit=min(_number(values, "limit", 100), MOST_ROWS),
    )


def image_of(values: Mapping[str, str]) -> str:
    """The parameter `image`: a key of the inbox. Raises GalleryQueryError."""
    image = _text(values, "image")
    if not image.startswith(INBOX):
        raise GalleryQueryError(f"image is the key of an image, such as {INBOX}cat.jpg.")
    return image


def _text(values: Mapping[str, str], name: str) -> str:
    text = values.get(name, "")
    if len(text.encode(errors="surrogatepass")) > 4 * KEY_BYTES:
        raise GalleryQueryError(f"{name} is longer than {4 * KEY_BYTES} bytes.")
    return text


def _folder(values: Mapping[str, str]) -> str:
    folder = _text(values, "folder")
    if folder and not (folder.startswith(INBOX) and folder.endswith("/")):
        raise GalleryQueryError(f"folder begins with {INBOX} and ends with a slash.")
    return folder


def _choice(values: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = values.get(name, "")
    if value not in choices:
        raise GalleryQueryError(f"{name} is one of {', '.join(filter(None, choices))}.")
    return value


def _score(values: Mapping[str, str], name: str) -> float | None:
    text = values.get(name, "")
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{0,3}(\.[0-9]{0,20})?", text, re.ASCII) or text == ".":
        raise GalleryQueryError(f"{name} is a score, such as 0.5.")
    return float(text)


def _number(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name, "")
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) >= LARGEST_NUMBER:
        raise GalleryQueryError(f"{name} is a whole number below {LARGEST_NUMBER:,}.")
    return int(text)


def _day(values: Mapping[str, str], name: str) -> str:
    text = values.get(name, "")
    try:
        if text and not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
            raise ValueError
        if text:
            timestamps.parse(text)
    except ValueError as error:
        raise GalleryQueryError(f"{name} is a day, such as 2026-11-28.") from error
    return text
