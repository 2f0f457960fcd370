"""What the hook has saved, read back while it goes on saving."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.debugger import smdebug_compat
from training.debugger.smdebug_compat import ModeKeys

EPOCH_LOSS = "EpochLoss_output_0"

Numbers = dict[str, float]
"""By tensor."""


def are_there(folder: Path) -> bool:
    """Without this smdebug would wait for them."""
    return any((folder / "collections").rglob("*_collections.json"))


@dataclass
class Made:
    """Training steps made, told from what was saved: not every one is."""

    steps: int = 0
    _last: int = -1

    def go_on(self, step: int, mode: ModeKeys, number: int) -> None:
        """To the next saved step among all. Each pass that judges is one, and none of training."""
        self.steps = number + 1 if mode == ModeKeys.TRAIN else self.steps + step - self._last - 1
        self._last = step


class Tensors(smdebug_compat.LocalTrial):  # type: ignore[misc]
    def __init__(self, folder: Path) -> None:
        super().__init__(folder.name, str(folder))
        self.folder = folder
        self._training_end_delay_refresh = 0
        self._known: tuple[int, dict[tuple[str, str, bool], Numbers]] = (-1, {})

    def names(self, step: int, collection: str) -> Sequence[str]:
        """Of the tensors of a collection that were saved in a step; none where it is not saved."""
        if collection not in self.collections():
            return ()
        return sorted(self.tensor_names(step=step, collection=collection))

    def value(self, name: str, step: int) -> NDArray[np.floating]:
        found: NDArray[np.floating] = np.asarray(self.tensor(name).value(step))
        return found

    def numbers(self, step: int, collection: str, reduction: str, absolute: bool) -> Numbers:
        """Read once, though several rules ask for the same."""
        if self._known[0] != step:
            self._known = (step, {})
        read, asked = self._known[1], (collection, reduction, absolute)
        if asked not in read:
            read[asked] = {
                name: float(self.tensor(name).reduction_value(step, reduction, abs=absolute))
                for name in self.names(step, collection)
            }
        return read[asked]

    def loss(self, step: int) -> float | None:
        """A training step's, or that of a whole pass."""
        names = [name for name in self.names(step, "losses") if name != EPOCH_LOSS]
        return float(np.mean(self.value(names[0], step))) if names else None

    def epoch_loss(self, step: int) -> float | None:
        """The mean training loss before a pass, where it was saved."""
        if EPOCH_LOSS not in self.names(step, "losses"):
            return None
        return float(self.value(EPOCH_LOSS, step))

    def at(self, step: int) -> tuple[ModeKeys, int]:
        """Of one of all steps: its mode, and which step of that mode it is."""
        mode, number = self.mode_modestep(step)
        return mode, number

    def curve(self, mode: ModeKeys) -> list[tuple[int, float]]:
        """(training steps made, loss)"""
        return self._curve(mode, self.loss)

    def learnt(self) -> list[tuple[int, float]]:
        """(training steps made, the epoch's mean training loss)"""
        return self._curve(ModeKeys.EVAL, self.epoch_loss)

    def _curve(
        self, mode: ModeKeys, loss_at: Callable[[int], float | None]
    ) -> list[tuple[int, float]]:
        points, made = [], Made()
        for step in self.steps():
            at, number = self.at(step)
            made.go_on(step, at, number)
            loss = loss_at(step) if at == mode else None
            if loss is not None:
                points.append((made.steps, loss))
        return points
