"""Rules that read the losses of training steps and of passes over validation."""

from statistics import fmean, stdev

from training.debugger.rules.base import Diagnosis, Finding
from training.debugger.smdebug_compat import ModeKeys


class LossNotDecreasing(Diagnosis):
    """The training loss never left where it began, or has risen from its lowest."""

    needs = "losses"
    advice = (
        "Where it never fell: raise lr, let more layers learn (unfreeze), and look whether labels "
        "belong to their images. Where it rose: lower lr, or set clip."
    )
    num_steps = 10
    """Saved losses whose mean is compared with another such mean: single batches are noise."""
    epochs = 3
    diff_percent = 2.0
    increase_threshold_percent = 20.0
    """Of the first mean."""

    def begin(self) -> None:
        self._trained = 0
        self._epochs: list[float] = []
        self._losses: list[float] = []
        self._first: list[float] = []
        self._lowest = float("inf")

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        loss = self.tensors.loss(step)
        if mode == ModeKeys.EVAL:
            return self._by_epochs(self.tensors.epoch_loss(step))
        if mode != ModeKeys.TRAIN or loss is None:
            return None
        self._trained += 1
        self._losses = [*self._losses, loss][-self.num_steps :]
        if len(self._first) < self.num_steps:
            self._first.append(loss)
            return None
        return self._compared() if self._has_enough else None

    @property
    def _has_enough(self) -> bool:
        return self._trained >= 2 * self.num_steps

    def _by_epochs(self, loss: float | None) -> Finding | None:
        """Where few steps are saved, as of a head, the means of whole epochs are compared."""
        if loss is not None:
            self._epochs.append(loss)
        if self._has_enough or len(self._epochs) < self.epochs:
            return None
        first, last = self._epochs[0], self._epochs[-1]
        if last <= first * (1 - self.diff_percent / 100):
            return None
        return Finding(
            f"After {len(self._epochs)} epochs the loss is {last:.4g}; the first had {first:.4g}."
        )

    def _compared(self) -> Finding | None:
        first, last = fmean(self._first), fmean(self._losses)
        self._lowest = min(self._lowest, last)
        noise = 2 * (stdev(self._first) + stdev(self._losses)) / self.num_steps**0.5
        if last - self._lowest > first * self.increase_threshold_percent / 100 + noise:
            return Finding(f"The loss rose to {last:.4g} from its lowest, {self._lowest:.4g}.")
        if last > first * (1 - self.diff_percent / 100):
            return Finding(
                f"After {self._trained} looks the loss is {last:.4g}, and it began at {first:.4g}."
            )
        return None

    def lacks(self) -> str:
        few = (
            f"{2 * self.num_steps} training losses or the means of {self.epochs} epochs are "
            f"compared; saved: {self._trained} and {len(self._epochs)}."
        )
        enough = self._has_enough or len(self._epochs) >= self.epochs
        return super().lacks() or ("" if enough else few)


class Passes(Diagnosis):
    """A rule that compares validation losses, and the mean training loss before each."""

    needs = "losses"

    def begin(self) -> None:
        self._since: list[float] = []
        self.train: list[float] = []
        self.validation: list[float] = []

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        loss = self.tensors.loss(step)
        if loss is None or mode == ModeKeys.PREDICT:
            return None
        if mode == ModeKeys.TRAIN:
            self._since.append(loss)
            return None
        learnt = self.tensors.epoch_loss(step)
        if learnt is not None or self._since:
            self.train.append(fmean(self._since) if learnt is None else learnt)
            self.validation.append(loss)
            self._since = []
        return self.compared() if len(self.validation) > 1 else None

    def compared(self) -> Finding | None:
        raise NotImplementedError

    def lacks(self) -> str:
        passes = len(self.validation)
        few = f"Two validation losses with training between are compared; saved: {passes}."
        return super().lacks() or (few if passes < 2 else "")


class Overfit(Passes):
    """Validation loss is above training loss and rises, while training loss falls."""

    advice = (
        "Stop earlier (patience keeps the best epoch), or add images, augmentation, mixup or "
        "weight-decay."
    )
    patience = 1
    """Passes in a row for which it may be so."""
    ratio_threshold = 0.1
    """Of the gap to the training loss, and of the rise to the lowest validation loss."""

    def begin(self) -> None:
        super().begin()
        self._times = 0

    def compared(self) -> Finding | None:
        train, validation, lowest = self.train[-1], self.validation[-1], min(self.validation)
        gapes = validation - train > self.ratio_threshold * train
        rises = validation - lowest > self.ratio_threshold * lowest
        self._times = self._times + 1 if gapes and rises else 0
        if self._times <= self.patience:
            return None
        return Finding(
            f"Validation loss rose from {lowest:.4g} to {validation:.4g} while training loss "
            f"is {train:.4g}."
        )


class Overtraining(Passes):
    """Neither loss improves any more, and training goes on."""

    advice = "Train for fewer epochs, or let patience end it; the time is spent for nothing."
    patience_train = 5
    patience_validation = 5
    """Passes without a better loss."""
    delta = 0.01

    def compared(self) -> Finding | None:
        still = min(
            _still(self.train, self.delta) - self.patience_train,
            _still(self.validation, self.delta) - self.patience_validation,
        )
        if still < 0:
            return None
        return Finding(
            f"For {_still(self.validation, self.delta)} passes validation loss has stayed at "
            f"{self.validation[-1]:.4g} and training loss at {self.train[-1]:.4g}."
        )


def _still(losses: list[float], delta: float) -> int:
    """Passes since the loss last became better by more than `delta`."""
    best, since = losses[0], 0
    for loss in losses[1:]:
        since = 0 if loss < best - delta else since + 1
        best = min(best, loss) if since else loss
    return since
