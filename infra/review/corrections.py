"""The labels that a person has written into a list: classes, mistypings, or new classes."""

import difflib
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from aws import active_model
from aws.bucket import Bucket
from domain.archive import CARD, ArchiveError, check_labels, members, read_card
from domain.foreign import visible
from domain.keys import archive_key
from infra.review.lists import ReviewEntry, ReviewError

QUESTIONS_SHOWN = 10

Ask = Callable[[str], bool]
"""Asks a person a question; whether the answer is yes."""


def active_labels(bucket: Bucket) -> tuple[str, ...]:
    """The labels of the active model; none if no model is active.

    Read from its archive, up to the card: a megabyte where Sortbox packed it, and the whole archive
    at worst. Raises ArchiveError.
    """
    active = active_model.read(bucket.client, bucket.name).active
    if active is None:
        return ()
    answer = bucket.client.get_object(Bucket=bucket.name, Key=archive_key(active.id))
    packed: Any = answer["Body"]  # a stream, of which the reader uses `read` alone
    with closing(packed):
        for member, content in members(packed, answer["ContentLength"]):
            if member.name == CARD:
                return read_card(b"".join(content)).labels
    return ()


@dataclass
class KnownClasses:
    """The classes that a correction may name, by their spelling and by a form that ignores case,
    blanks and kinds of quotes."""

    labels: dict[str, None] = field(default_factory=dict)
    _spellings: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, labels: Iterable[str]) -> "KnownClasses":
        classes = cls()
        for label in labels:
            classes.add(label)
        return classes

    def add(self, label: str) -> None:
        if label not in self.labels:
            self.labels[label] = None
            self._spellings.setdefault(_fold(label), []).append(label)

    def same(self, text: str) -> list[str]:
        """The classes that the text spells; more than one if it could be either."""
        return [text] if text in self.labels else self._spellings.get(_fold(text), [])

    def nearest(self, text: str) -> str | None:
        near = difflib.get_close_matches(_fold(text), self._spellings, 1)
        return self._spellings[near[0]][0] if near else None


def settle(
    entries: Iterable[ReviewEntry], classes: KnownClasses, ask: Ask | None
) -> list[ReviewEntry]:
    """The entries with their corrections spelled as classes. `ask` is None where nobody answers.

    Confirmed new classes are added to `classes`. Raises ReviewError for a label that nobody has
    confirmed, before anything is downloaded.
    """
    listed = list(entries)
    spelled: dict[str, str] = {}
    questions: list[str] = []
    for text in dict.fromkeys(entry.corrected for entry in listed):
        same = classes.same(text)
        if len(same) == 1:
            spelled[text] = same[0]
        elif same:
            questions.append(f"{text!r} may be {' or '.join(map(repr, same))}: write it as one")
        elif ask is None:
            questions.append(_question(text, classes))
        else:
            spelled[text] = _ask_for(text, classes, ask)
    if questions:
        more = len(questions) - QUESTIONS_SHOWN
        shown = "; ".join(questions[:QUESTIONS_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise ReviewError(
            f"{shown}{'' if shown.endswith('?') else '.'} Correct the list, or pass "
            "`--new-class LABEL` for each class that is new. Nothing was downloaded."
        )
    return [replace(entry, corrected=spelled[entry.corrected]) for entry in listed]


def _question(text: str, classes: KnownClasses) -> str:
    near = classes.nearest(text)
    return f"{text!r}: did you mean {near!r}?" if near else f"{text!r} is no class"


def _ask_for(text: str, classes: KnownClasses, ask: Ask) -> str:
    near = classes.nearest(text)
    if near and ask(f"{text!r} is no class. Did you mean {near!r}?"):
        return near
    check_new(text)
    if ask(f"Is {text!r} a new class?"):
        classes.add(text)
        return text
    raise ReviewError(f"Nothing was downloaded: correct {text!r} in the list.")


def check_new(label: str) -> None:
    """Raises ReviewError for a label that no model can have."""
    try:
        if not label.strip() or not label.isprintable():
            raise ArchiveError("it has no visible character, or a control character")
        check_labels((label,))
    except ArchiveError as error:
        raise ReviewError(f"{visible(label)[:100]!r} cannot be a class: {error}.") from error


def corrected_only(entries: Iterable[ReviewEntry]) -> Iterator[ReviewEntry]:
    return (entry for entry in entries if entry.corrected)


def _fold(text: str) -> str:
    composed = unicodedata.normalize("NFKC", text).casefold()
    straight = composed.translate(str.maketrans("‘’‚‛“”„‟", "''''\"\"\"\""))
    return " ".join(straight.split())
