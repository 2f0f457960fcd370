"""The HTML report of a folder: class counts, the least sure answers first, and rejections.

The size of the page is limited. Images that do not fit are counted; the tables next to it have all.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from batch.outcome import Predicted, Refusal, answers_of_type, to_line
from domain.keys import INBOX
from pages.render import fitting, fragment, render

if TYPE_CHECKING:
    from markupsafe import Markup

PAGE = "_report.html"
TEMPLATE, PARTS = "runs/folder.html.jinja", "runs/folder_parts.html.jinja"
MOST_BYTES = 4_500_000
"""The largest page, in bytes, which browsers open quickly; room for up to 10,000 images."""

MOST_PICTURES = 300
MOST_UNKNOWN = 1_000
MOST_UNKNOWN_PICTURES = 100
MOST_CARDS = 10_000
MOST_REFUSED = 2_000
MOST_CLASSES = 1_000
MOST_IGNORED_BYTES = MOST_BYTES // 20
"""Of the list of ignored files, whose names alone may take a megabyte."""

Thumbnail = Callable[[str], bytes | None]


@dataclass
class Gallery:
    """The first unknown images, the other answers that the model is least sure of, and the first
    rejections, in limited memory. Unsure by the model's decision comes before a low score."""

    unknown: list[Predicted] = field(default_factory=list)
    unsure: list[tuple[float, int, Predicted]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=lambda: count(0, -1))

    def add(self, answer: Predicted | Refusal) -> None:
        match answer:
            case Refusal():
                if len(self.refused) < MOST_REFUSED:
                    self.refused.append(answer)
            case Predicted(decision="unknown"):
                if len(self.unknown) < MOST_UNKNOWN:
                    self.unknown.append(answer)
            case Predicted():
                heapq.heappush(self.unsure, (_doubt(answer), next(self._order), answer))
                if len(self.unsure) > MOST_CARDS:
                    heapq.heappop(self.unsure)  # the surest one

    def to_json(self) -> dict[str, Any]:
        """The state (a few megabytes); `resume` is the inverse."""
        return {
            "next": next(self._order),
            "unknown": [to_line(answer) for answer in self.unknown],
            "unsure": [(score, at, to_line(answer)) for score, at, answer in self.unsure],
            "refused": [to_line(answer) for answer in self.refused],
        }

    def resume(self, document: dict[str, Any]) -> None:
        self._order = count(document["next"], -1)
        scores, order, lines = (
            zip(*document["unsure"], strict=True) if document["unsure"] else ((),) * 3
        )
        self.unsure = [*zip(scores, order, answers_of_type(Predicted, lines), strict=True)]
        self.refused = answers_of_type(Refusal, document["refused"])
        self.unknown = answers_of_type(Predicted, document.get("unknown", ()))

    @property
    def least_sure_first(self) -> list[Predicted]:
        return [answer for _, _, answer in sorted(self.unsure, reverse=True)]


def page(key: str, summary: dict[str, Any], gallery: Gallery, thumbnail: Thumbnail) -> str:
    """Render the page. `key` is its own key, for relative links; `summary` is `_summary.json`."""
    up = "../" * key.count("/")
    about = {
        "title": summary["folder"],
        "summary": summary,
        "labels": list(summary["labels"].items())[:MOST_CLASSES],
        "has_rejections": bool(gallery.refused),
        "rejections": fitting(_rejections(gallery, up), MOST_BYTES // 4),
        "ignored_files": fitting(_ignored(summary, up), MOST_IGNORED_BYTES),
        "unknown": fitting(
            _cards(gallery.unknown, MOST_UNKNOWN_PICTURES, thumbnail, up), MOST_BYTES // 4
        ),
        "has_cards": bool(gallery.unsure),
    }
    room = MOST_BYTES - len(render(TEMPLATE, **about, cards=[]).encode())
    cards = _cards(gallery.least_sure_first, MOST_PICTURES, thumbnail, up)
    return render(TEMPLATE, **about, cards=fitting(cards, room))


def _rejections(gallery: Gallery, up: str) -> "Iterator[Markup]":
    for refusal in gallery.refused:
        yield fragment(PARTS, "rejection", refusal, refusal.image.removeprefix(INBOX), up)


def _ignored(summary: dict[str, Any], up: str) -> "Iterator[Markup]":
    for file in summary["ignored_files"]:
        name = file["key"].removeprefix(INBOX)
        yield fragment(PARTS, "ignored", file["key"], name, file["reason"], up)


def _cards(
    answers: Iterable[Predicted], pictures: int, thumbnail: Thumbnail, up: str
) -> "Iterator[Markup]":
    for number, answer in enumerate(answers):
        pictured = number < pictures
        content = thumbnail(answer.image) if pictured else None
        name = answer.image.removeprefix(INBOX)
        yield fragment(PARTS, "card", answer, name, up, pictured, content)


def _doubt(answer: Predicted) -> float:
    """From -1 to 0, and from 0 to 1 where the model itself decided that it is unsure."""
    score = answer.labels[0].score if answer.labels else 0.0
    return 1 - score if answer.decision == "unsure" else -score
