"""Diagnoses a run by its metrics: sentences, each with the numbers it is based on."""

from collections.abc import Sequence

from training.config.metrics import EpochMetrics

FEW_IMAGES = 20
"""In a class: with fewer, light and background dominate."""

OVERFIT_GAP = 0.10
"""Between training and validation accuracy."""

OVERFIT_RISE = 1.05
"""Times the minimum: above it, the validation loss counts as rising."""

UNDERFIT_ACCURACY = 0.80
"""On the training split: a network that fits has more."""

CONVERGED_RATIO = 0.98
"""Times the epoch before: a loss below it is still falling."""


def diagnose(history: Sequence[EpochMetrics], smallest: tuple[str, int]) -> list[str]:
    """`smallest`: the class with the fewest training images, and how many. Never empty."""
    sentences = [_few(*smallest), _over(history), _under(history), _unfinished(history)]
    last = history[-1]
    return [sentence for sentence in sentences if sentence] or [
        f"Converged: after {last['epoch']:g} epochs validation loss "
        f"({last['validation_loss']:.3f}) "
        f"no longer falls, and {_gap(last)}."
    ]


def _gap(last: EpochMetrics) -> str:
    points = 100 * (last["train_accuracy"] - last["validation_accuracy"])
    side = "above" if points >= 0 else "below"
    return f"training accuracy is {abs(points):.1f} points {side} validation accuracy"


def _few(label: str, count: int) -> str:
    if count >= FEW_IMAGES:
        return ""
    return (
        f'Too little data: "{label}" has {count} training {"image" if count == 1 else "images"}. '
        f"Below {FEW_IMAGES}, its results vary from run to run; more images help more than more "
        "epochs."
    )


def _over(history: Sequence[EpochMetrics]) -> str:
    best = min(history, key=lambda epoch: epoch["validation_loss"])
    last = history[-1]
    gap = last["train_accuracy"] - last["validation_accuracy"]
    if last["validation_loss"] > OVERFIT_RISE * best["validation_loss"]:
        return (
            f"Overfitted: validation loss was lowest in epoch {best['epoch']:g} "
            f"({best['validation_loss']:.3f}) and rose to {last['validation_loss']:.3f} while "
            f"training loss fell to {last['train_loss']:.3f}. Stop earlier (--patience), or add "
            "images, augmentation (--augment) or --weight-decay."
        )
    if gap > OVERFIT_GAP:
        return (
            f"Slightly overfitted: accuracy is {last['train_accuracy']:.1%} on train and "
            f"{last['validation_accuracy']:.1%} on validation. More images, augmentation or "
            "mixup narrow the gap."
        )
    return ""


def _under(history: Sequence[EpochMetrics]) -> str:
    last = history[-1]
    close = last["train_accuracy"] - last["validation_accuracy"] < OVERFIT_GAP
    if last["train_accuracy"] >= UNDERFIT_ACCURACY or not close:
        return ""
    return (
        f"Underfitted: training accuracy is only {last['train_accuracy']:.1%}. Train more layers "
        "(--unfreeze), for longer (--epochs), or with a higher --lr; with strong augmentation a "
        "low value is expected."
    )


def _unfinished(history: Sequence[EpochMetrics]) -> str:
    if len(history) < 2:
        return "One epoch shows no trend: train for more."
    before, last = history[-2]["validation_loss"], history[-1]["validation_loss"]
    if last >= CONVERGED_RATIO * before:
        return ""
    return (
        f"Not converged: validation loss still fell from {before:.3f} to {last:.3f} in the last "
        "epoch. "
        "More epochs would improve it."
    )
