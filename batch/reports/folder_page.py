"""A folder's report as a page: class counts, the unsure ones first, the rejected with their reason.

The page has a budget: what does not fit is counted, and is in the tables beside it.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from batch.outcome import Predicted, Refusal, of_kind, to_line
from batch.reports import markup
from domain.keys import INBOX

PAGE = "_report.html"
MOST_BYTES = 4_500_000
"""A page that a browser opens at once: ten thousand images, or what fits of them."""

MOST_PICTURES = 300
MOST_CARDS = 10_000
MOST_REFUSED = 2_000
MOST_CLASSES = 1_000

Thumbnail = Callable[[str], bytes | None]


@dataclass
class Gallery:
    """The least sure answers of a folder, and its first rejections, in bounded memory."""

    unsure: list[tuple[float, int, Predicted]] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=lambda: count(0, -1))

    def add(self, answer: Predicted | Refusal) -> None:
        match answer:
            case Refusal():
                if len(self.refused) < MOST_REFUSED:
                    self.refused.append(answer)
            case Predicted():
                heapq.heappush(self.unsure, (-_score(answer), next(self._order), answer))
                if len(self.unsure) > MOST_CARDS:
                    heapq.heappop(self.unsure)  # the surest goes

    def to_json(self) -> dict[str, Any]:
        """Some megabytes at most; `go_on` is the inverse."""
        return {
            "next": next(self._order),
            "unsure": [(score, at, to_line(answer)) for score, at, answer in self.unsure],
            "refused": [to_line(answer) for answer in self.refused],
        }

    def go_on(self, told: dict[str, Any]) -> None:
        self._order = count(told["next"], -1)
        scores, order, lines = zip(*told["unsure"], strict=True) if told["unsure"] else ((),) * 3
        self.unsure = [*zip(scores, order, of_kind(Predicted, lines), strict=True)]
        self.refused = of_kind(Refusal, told["refused"])

    @property
    def least_sure_first(self) -> list[Predicted]:
        return [answer for _, _, answer in sorted(self.unsure, reverse=True)]


def page(key: str, summary: dict[str, Any], gallery: Gallery, thumbnail: Thumbnail) -> str:
    """`key`: the page's own. `summary`: what `_summary.json` says."""
    folder, up = summary["folder"], "../" * key.count("/")
    parts = [*_head(folder, summary), *_classes(summary), *_refused(gallery, summary, up)]
    room = MOST_BYTES - sum(len(part.encode()) for part in parts)
    return markup.page(folder, [*parts, *_cards(gallery, summary, thumbnail, up, room)])


def _head(folder: str, summary: dict[str, Any]) -> Iterator[str]:
    yield f"<h1>{markup.text(folder)}</h1>"
    yield '<div class="tiles">'
    for name in ("images", "classified", "rejected", "unanswered", "ignored"):
        yield markup.tile(name, markup.number(summary[name]))
    yield "</div>"
    if summary["unlisted"]:
        yield f"<p>{markup.number(summary['unlisted'])} answers were not looked up this time.</p>"


def _classes(summary: dict[str, Any]) -> Iterator[str]:
    labels = list(summary["labels"].items())[:MOST_CLASSES]
    if not labels:
        return
    most = max(images for _, images in labels)
    yield "<h2>Labels</h2>"
    rows = ((markup.text(label), markup.number(n), markup.bar(n / most)) for label, n in labels)
    yield markup.table(("label", "images", ""), rows)


def _refused(gallery: Gallery, summary: dict[str, Any], up: str) -> Iterator[str]:
    if not gallery.refused:
        return
    yield "<h2>Rejected</h2>"
    rows = (
        (_name(each.image, up), markup.text(each.code), markup.text(each.message))
        for each in gallery.refused
    )
    room, shown = MOST_BYTES // 4, []
    for row in rows:
        room -= sum(len(cell.encode()) for cell in row) + 30
        if room < 0:
            break
        shown.append(row)
    yield markup.table(("image", "code", "reason"), shown)
    yield _more(summary["rejected"] - len(shown), "errors.jsonl")


def _cards(
    gallery: Gallery, summary: dict[str, Any], thumbnail: Thumbnail, up: str, room: int
) -> Iterator[str]:
    if not gallery.unsure:
        return
    yield "<h2>The least sure first</h2><div class='grid'>"
    shown = 0
    for answer in gallery.least_sure_first:
        card = _card(answer, thumbnail(answer.image) if shown < MOST_PICTURES else None, up, shown)
        room -= len(card.encode()) + 1
        if room < 1000:
            break
        shown += 1
        yield card
    yield "</div>"
    yield _more(summary["classified"] - shown, "predictions.csv")


def _card(answer: Predicted, jpeg: bytes | None, up: str, shown: int) -> str:
    labels = "<br>".join(f"{markup.text(each.label)} {each.score:.2f}" for each in answer.labels)
    picture = markup.picture(jpeg) if shown < MOST_PICTURES else ""
    name = f'<div class="name">{_name(answer.image, up)}</div>'
    return f'<div class="card">{picture}{labels}{name}</div>'


def _name(image: str, up: str) -> str:
    return markup.link(up + image, markup.text(image.removeprefix(INBOX)))


def _more(count: int, table: str) -> str:
    return f"<p>{markup.number(count)} more are in {table}.</p>" if count > 0 else ""


def _score(answer: Predicted) -> float:
    return answer.labels[0].score if answer.labels else 0.0
