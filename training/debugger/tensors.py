"""Reads what the hook has saved, while it continues to save."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.debugger import smdebug_compat
from training.debugger.smdebug_compat import ModeKeys

EPOCH_LOSS = "EpochLoss_output_0"

CLASSES_FILE = "classes.json"
"""Beside the tensors, which have numbers for labels: the training images of each class."""

Reductions = dict[str, float]
"""By tensor name."""


def exist(folder: Path) -> bool:
    """Whether anything was saved; smdebug would wait for it."""
    return any((folder / "collections").rglob("*_collections.json"))


def write_classes(folder: Path, class_images: Mapping[str, int]) -> None:
    """Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CLASSES_FILE).write_text(json.dumps(class_images))


@dataclass
class StepCounter:
    """Training steps made, derived from the saved steps: not every step is saved."""

    steps: int = 0
    _last: int = -1

    def advance(self, step: int, mode: ModeKeys, number: int) -> None:
        """To the next saved step. An evaluation pass counts as a step of its own mode only."""
        self.steps = number + 1 if mode == ModeKeys.TRAIN else self.steps + step - self._last - 1
        self._last = step


class SavedTensors(smdebug_compat.LocalTrial):  # type: ignore[misc]
    def __init__(self, folder: Path) -> None:
        super().__init__(folder.name, str(folder))
        self.folder = folder
        self._training_end_delay_refresh = 0
        self._known: tuple[int, dict[tuple[str, str, bool], Reductions]] = (-1, {})

    @cached_property
    def class_images(self) -> Mapping[str, int]:
        """The training images of each class; empty if the job has not recorded them."""
        try:
            counts = json.loads((self.folder / CLASSES_FILE).read_bytes())
            return {str(label): int(count) for label, count in counts.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}

    def names(self, step: int, collection: str) -> Sequence[str]:
        """The tensors of a collection that were saved at a step."""
        if collection not in self.collections():
            return ()
        return sorted(self.tensor_names(step=step, collection=collection))

    def value(self, name: str, step: int) -> NDArray[np.floating]:
        value: NDArray[np.floating] = np.asarray(self.tensor(name).value(step))
        return value

    def reductions(self, step: int, collection: str, reduction: str, absolute: bool) -> Reductions:
        """Cached per step: several rules read the same."""
        if self._known[0] != step:
            self._known = (step, {})
        cache, key = self._known[1], (collection, reduction, absolute)
        if key not in cache:
            cache[key] = {
                name: float(self.tensor(name).reduction_value(step, reduction, abs=absolute))
                for name in self.names(step, collection)
            }
        return cache[key]

    def loss(self, step: int) -> float | None:
        """Of a training step, or of a whole evaluation pass."""
        names = [name for name in self.names(step, "losses") if name != EPOCH_LOSS]
        return float(np.mean(self.value(names[0], step))) if names else None

    def epoch_loss(self, step: int) -> float | None:
        """The mean training loss before an evaluation pass, if it was saved."""
        if EPOCH_LOSS not in self.names(step, "losses"):
            return None
        return float(self.value(EPOCH_LOSS, step))

    def mode_at(self, step: int) -> tuple[ModeKeys, int]:
        """The mode of a step, and its number within that mode."""
        mode, number = self.mode_modestep(step)
        return mode, number

    def curve(self, mode: ModeKeys) -> list[tuple[int, float]]:
        """(training steps made, loss)"""
        return self._curve(mode, self.loss)

    def epoch_losses(self) -> list[tuple[int, float]]:
        """(training steps made, the epoch's mean training loss)"""
        return self._curve(ModeKeys.EVAL, self.epoch_loss)

    def _curve(
        self, mode: ModeKeys, loss_at: Callable[[int], float | None]
    ) -> list[tuple[int, float]]:
        points, made = [], StepCounter()
        for step in self.steps():
            at, number = self.mode_at(step)
            made.advance(step, at, number)
            loss = loss_at(step) if at == mode else None
            if loss is not None:
                points.append((made.steps, loss))
        return points
