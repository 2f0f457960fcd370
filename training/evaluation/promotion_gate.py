"""Whether a candidate may take the active model's place."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.model import ModelCard
from training.model.mcnemar import Paired

NAMED = 10


@dataclass(frozen=True, slots=True)
class First:
    """There is no active model to compare with."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Both know the same labels, and answered the same images."""

    active: str
    accuracy: float
    """The active model's."""
    paired: Paired


@dataclass(frozen=True, slots=True)
class Relabelled:
    """They answer different questions: no image can tell which is better."""

    active: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]


Comparison = First | Compared | Relabelled


def relabelled(candidate: ModelCard, active: ModelCard, name: str) -> Relabelled | None:
    """None for the same labels, in whatever order."""
    new, old = set(candidate.labels), set(active.labels)
    return None if new == old else Relabelled(name, _sorted(new - old), _sorted(old - new))


def told(comparison: Comparison) -> str:
    match comparison:
        case First():
            return "There is no active model to compare with."
        case Compared(active, accuracy, paired):
            return (
                f"{active} has accuracy {accuracy:.4f} on the same images. Only the candidate is "
                f"right on {paired.wins} of them, only the active model on {paired.losses} "
                f"(exact McNemar: p = {paired.p_value:.3g})."
            )
        case Relabelled(active, gained, lost):
            return (
                f"{active} knows other labels, so the two cannot be compared. "
                f"Gained: {_some(gained)}. Lost: {_some(lost)}."
            )


def refusal(comparison: Comparison, replace_labels: bool, override: str) -> str | None:
    """Why it may not, in a sentence; None where it may. `override`: a person's reason."""
    match comparison:
        case Relabelled() if not replace_labels:
            return "Its labels would replace others: say REPLACE_LABELS=1 if that is meant."
        case Compared(paired=paired) if paired.is_worse and not override:
            return (
                "The candidate is worse, by more than chance explains; it is not promoted. "
                'OVERRIDE="the reason" promotes it all the same, and is recorded.'
            )
        case _:
            return None


def unjudged(card: ModelCard) -> str | None:
    """A card whose served precision nobody judged is a promise that nobody kept."""
    if card.openvino is None or card.openvino.precision == "fp32":
        return None
    outcomes = {verdict.precision: verdict.outcome for verdict in card.openvino.verdicts}
    outcome = outcomes.get(card.openvino.precision, "not judged")
    if outcome == "kept":
        return None
    served_in = card.openvino.precision
    return f"{card.name} would be served in {served_in}, which its card says is {outcome}."


def recorded(comparison: Comparison, override: str) -> dict[str, str]:
    """What the registry keeps about it."""
    said = {"override": override} if override else {}
    match comparison:
        case First():
            return said | {"compared_with": "none"}
        case Compared(active, accuracy, paired):
            return said | {
                "compared_with": active,
                "compared_accuracy": f"{accuracy:.6f}",
                "wins": str(paired.wins),
                "losses": str(paired.losses),
                "p_value": f"{paired.p_value:.6g}",
            }
        case Relabelled(active, gained, lost):
            return said | {
                "compared_with": active,
                "labels_gained": str(len(gained)),
                "labels_lost": str(len(lost)),
            }


def _sorted(labels: set[str]) -> tuple[str, ...]:
    return tuple(sorted(labels))


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
    return (", ".join(labels[:NAMED]) or "none") + more
