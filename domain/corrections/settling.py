"""One decision of all that people say about a version of an image, whatever arrives when."""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.corrections.form import Correction


@dataclass(frozen=True, slots=True)
class Settled:
    """What holds of a version of an image; `ruling` is None if all was withdrawn.

    `differing`: the last words of other persons who named another label, newest first. It is empty
    once somebody has repeated the ruling label.
    """

    ruling: Correction | None
    differing: tuple[Correction, ...] = ()


def settle(corrections: Iterable[Correction]) -> Settled:
    """The decision about one version of an image, from all corrections of it in any order.

    The newest that is not withdrawn rules. A label that is named twice in a row is confirmed.
    """
    words = _not_withdrawn(corrections)
    if not words:
        return Settled(None)
    ruling, *earlier = words
    if earlier and earlier[0].to == ruling.to:
        return Settled(ruling)
    last: dict[str, Correction] = {}
    for one in earlier:
        last.setdefault(one.who, one)
    return Settled(
        ruling,
        tuple(one for one in last.values() if one.who != ruling.who and one.to != ruling.to),
    )


def _not_withdrawn(corrections: Iterable[Correction]) -> list[Correction]:
    """Newest first, each once. One can withdraw an earlier one only, so none withdraw each
    other.
    """
    withdrawn: set[str] = set()
    words = []
    named = {one.name: one for one in corrections}
    for one in sorted(named.values(), key=lambda one: one.name, reverse=True):
        if one.name in withdrawn:
            continue
        if one.withdraws is None:
            words.append(one)
        else:
            withdrawn.add(one.withdraws)
    return words
