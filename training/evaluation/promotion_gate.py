"""Whether a candidate may replace the active model."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.model import ModelCard
from training.model.mcnemar import PairedCounts

LABELS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class NoActiveModel:
    """There is no active model to compare with."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Both have the same labels and were evaluated on the same images."""

    active: str
    accuracy: float
    """The active model's."""
    paired: PairedCounts


@dataclass(frozen=True, slots=True)
class DifferentLabels:
    """Their labels differ, so no image can show which is better."""

    active: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]


Comparison = NoActiveModel | Compared | DifferentLabels


def compare_labels(candidate: ModelCard, active: ModelCard, name: str) -> DifferentLabels | None:
    """None for the same labels in any order."""
    new, old = set(candidate.labels), set(active.labels)
    return None if new == old else DifferentLabels(name, _sorted(new - old), _sorted(old - new))


def describe(comparison: Comparison) -> str:
    match comparison:
        case NoActiveModel():
            return "There is no active model to compare with."
        case Compared(active, accuracy, paired):
            return (
                f"{active} has accuracy {accuracy:.4f} on the same images, as it serves. Only the "
                "candidate is "
                f"right on {paired.wins} of them, only the active model on {paired.losses} "
                f"(exact McNemar: p = {paired.p_value:.3g})."
            )
        case DifferentLabels(active, gained, lost):
            return (
                f"{active} has other labels, so the two cannot be compared. "
                f"Gained: {_summarize(gained)}. Lost: {_summarize(lost)}."
            )


def rejection(comparison: Comparison, replace_labels: bool, override: str) -> str | None:
    """Why it must not be promoted; None if it may. `override`: the user's reason."""
    match comparison:
        case DifferentLabels() if not replace_labels:
            return (
                "Its labels differ from the active model's: pass --replace-labels to replace them."
            )
        case Compared(paired=paired) if paired.is_worse and not override:
            return (
                "The candidate is significantly worse and is not promoted. "
                '--override "the reason" promotes it anyway, and is recorded.'
            )
        case _:
            return None


def unevaluated_precision(card: ModelCard) -> str | None:
    """Why a card's served precision must not be trusted; None if it was evaluated."""
    if card.openvino is None or card.openvino.precision == "fp32":
        return None
    outcomes = {verdict.precision: verdict.outcome for verdict in card.openvino.verdicts}
    outcome = outcomes.get(card.openvino.precision, "not judged")
    if outcome == "kept":
        return None
    served_in = card.openvino.precision
    return f"{card.name} would be served in {served_in}, which its card says is {outcome}."


def registry_metadata(comparison: Comparison, override: str) -> dict[str, str]:
    """Metadata for the model registry."""
    override_entry = {"override": override} if override else {}
    match comparison:
        case NoActiveModel():
            return override_entry | {"compared_with": "none"}
        case Compared(active, accuracy, paired):
            return override_entry | {
                "compared_with": active,
                "compared_accuracy": f"{accuracy:.6f}",
                "wins": str(paired.wins),
                "losses": str(paired.losses),
                "p_value": f"{paired.p_value:.6g}",
            }
        case DifferentLabels(active, gained, lost):
            return override_entry | {
                "compared_with": active,
                "labels_gained": str(len(gained)),
                "labels_lost": str(len(lost)),
            }


def _sorted(labels: set[str]) -> tuple[str, ...]:
    return tuple(sorted(labels))


def _summarize(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - LABELS_SHOWN} more" if len(labels) > LABELS_SHOWN else ""
    return (", ".join(labels[:LABELS_SHOWN]) or "none") + more
