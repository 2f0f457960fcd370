"""What the shape of the curves means, in sentences, each with the numbers it rests on."""

from collections.abc import Sequence

from training.config.metrics import Curves

FEW = 20
"""Images: a class with fewer is learnt from accidents of light and background."""

GAP = 0.10
"""Of accuracy, between what was learnt and what was not seen: more is memory."""

RISE = 1.05
"""Times its lowest: from there on a validation loss counts as rising."""

POOR = 0.80
"""Accuracy on the training split: a network that fits has more."""

STILL = 0.98
"""Times the epoch before: a loss that falls faster is not done."""


def read(history: Sequence[Curves], smallest: tuple[str, int]) -> list[str]:
    """`smallest`: the class with the fewest training images, and how many. Never empty."""
    found = [_few(*smallest), _over(history), _under(history), _unfinished(history)]
    last = history[-1]
    return [sentence for sentence in found if sentence] or [
        f"Settled: after {last['epoch']:g} epochs validation loss ({last['validation_loss']:.3f}) "
        "no longer falls, and training accuracy is "
        f"{last['train_accuracy'] - last['validation_accuracy']:+.1%} beside validation's."
    ]


def _few(label: str, count: int) -> str:
    if count >= FEW:
        return ""
    return (
        f"Too few data: {label} has {count} training images. Under {FEW}, expect its row to change "
        "from run to run; more images help more than more epochs."
    )


def _over(history: Sequence[Curves]) -> str:
    best = min(history, key=lambda epoch: epoch["validation_loss"])
    last = history[-1]
    gap = last["train_accuracy"] - last["validation_accuracy"]
    if last["validation_loss"] > RISE * best["validation_loss"]:
        return (
            f"Over-fitted: validation loss was lowest in epoch {best['epoch']:g} "
            f"({best['validation_loss']:.3f}) and rose to {last['validation_loss']:.3f} while "
            f"training loss fell to {last['train_loss']:.3f}. Stop earlier (patience), or add "
            "images, augmentation or weight-decay."
        )
    if gap > GAP:
        return (
            f"Over-fitted a little: {last['train_accuracy']:.1%} right on what was learnt, "
            f"{last['validation_accuracy']:.1%} on validation. More images, augmentation or "
            "mixup narrow the gap."
        )
    return ""


def _under(history: Sequence[Curves]) -> str:
    last = history[-1]
    close = last["train_accuracy"] - last["validation_accuracy"] < GAP
    if last["train_accuracy"] >= POOR or not close:
        return ""
    return (
        f"Under-fitted: only {last['train_accuracy']:.1%} of the training images are right. Let "
        "more layers learn (unfreeze), for longer (epochs), or faster (lr); with strong "
        "augmentation a low figure here is expected."
    )


def _unfinished(history: Sequence[Curves]) -> str:
    if len(history) < 2:
        return "One epoch says nothing about where the curves lead: train for more."
    before, last = history[-2]["validation_loss"], history[-1]["validation_loss"]
    if last >= STILL * before:
        return ""
    return (
        f"Not done: validation loss still fell from {before:.3f} to {last:.3f} in the last epoch. "
        "More epochs would go on improving it."
    )
