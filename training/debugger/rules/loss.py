"""Rules on the losses of training steps and of validation passes."""

from statistics import fmean, stdev

from training.debugger.rules.base import DebuggerRule, Finding
from training.debugger.smdebug_compat import ModeKeys


class LossNotDecreasing(DebuggerRule):
    """The training loss has not decreased, or has risen from its minimum."""

    needs = "losses"
    advice = (
        "If it never fell: raise --lr, train more layers (--unfreeze), and check that labels match "
        "their images. If it rose: lower --lr, or set --clip."
    )
    num_steps = 10
    """Losses per mean: single batches are too noisy to compare."""
    epochs = 3
    diff_percent = 2.0
    increase_threshold_percent = 20.0
    """Of the first mean."""

    def reset_state(self) -> None:
        self._trained = 0
        self._epochs: list[float] = []
        self._losses: list[float] = []
        self._first: list[float] = []
        self._lowest = float("inf")

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        loss = self.tensors.loss(step)
        if mode == ModeKeys.EVAL:
            return self._compare_epochs(self.tensors.epoch_loss(step))
        if mode != ModeKeys.TRAIN or loss is None:
            return None
        self._trained += 1
        self._losses = [*self._losses, loss][-self.num_steps :]
        if len(self._first) < self.num_steps:
            self._first.append(loss)
            return None
        return self._compare_steps() if self._has_enough else None

    @property
    def _has_enough(self) -> bool:
        return self._trained >= 2 * self.num_steps

    def _compare_epochs(self, loss: float | None) -> Finding | None:
        """With few saved steps, as for a head, the means of whole epochs are compared."""
        if loss is not None:
            self._epochs.append(loss)
        if self._has_enough or len(self._epochs) < self.epochs:
            return None
        first, last = self._epochs[0], self._epochs[-1]
        if last <= first * (1 - self.diff_percent / 100):
            return None
        return Finding(
            f"After {len(self._epochs)} epochs the loss is {last:.4g}; in the first it was "
            f"{first:.4g}."
        )

    def _compare_steps(self) -> Finding | None:
        first, last = fmean(self._first), fmean(self._losses)
        self._lowest = min(self._lowest, last)
        noise = 2 * (stdev(self._first) + stdev(self._losses)) / self.num_steps**0.5
        if last - self._lowest > first * self.increase_threshold_percent / 100 + noise:
            return Finding(f"The loss rose to {last:.4g} from its minimum {self._lowest:.4g}.")
        if last > first * (1 - self.diff_percent / 100):
            return Finding(
                f"After {self._trained} saved steps the loss is {last:.4g}; it began at "
                f"{first:.4g}."
            )
        return None

    def missing_data(self) -> str:
        few = (
            f"It needs {2 * self.num_steps} training losses or the means of {self.epochs} epochs; "
            f"saved: {self._trained} and {len(self._epochs)}."
        )
        enough = self._has_enough or len(self._epochs) >= self.epochs
        return super().missing_data() or ("" if enough else few)


class ValidationRule(DebuggerRule):
    """A rule that compares validation losses and the mean training losses before them."""

    needs = "losses"

    def reset_state(self) -> None:
        self._since: list[float] = []
        self.train: list[float] = []
        self.validation: list[float] = []

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        loss = self.tensors.loss(step)
        if loss is None or mode == ModeKeys.PREDICT:
            return None
        if mode == ModeKeys.TRAIN:
            self._since.append(loss)
            return None
        train_loss = self.tensors.epoch_loss(step)
        if train_loss is not None or self._since:
            self.train.append(fmean(self._since) if train_loss is None else train_loss)
            self.validation.append(loss)
            self._since = []
        return self.compare() if len(self.validation) > 1 else None

    def compare(self) -> Finding | None:
        raise NotImplementedError

    def missing_data(self) -> str:
        passes = len(self.validation)
        few = f"It needs two validation losses with training between them; saved: {passes}."
        return super().missing_data() or (few if passes < 2 else "")


class Overfit(ValidationRule):
    """Validation loss is above training loss and rises, while training loss falls."""

    advice = (
        "Stop earlier (--patience keeps the best epoch), or add images, --augment, --mixup or "
        "--weight-decay."
    )
    patience = 1
    """Consecutive passes that are tolerated."""
    ratio_threshold = 0.1
    """Of the gap to the training loss, and of the rise above the lowest validation loss."""

    def reset_state(self) -> None:
        super().reset_state()
        self._times = 0

    def compare(self) -> Finding | None:
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


class Overtraining(ValidationRule):
    """Neither loss improves any more, and training continues."""

    advice = "Train for fewer epochs, or set --patience."
    patience_train = 5
    patience_validation = 5
    """Passes without a better loss."""
    delta = 0.01

    def compare(self) -> Finding | None:
        still = min(
            _passes_without_progress(self.train, self.delta) - self.patience_train,
            _passes_without_progress(self.validation, self.delta) - self.patience_validation,
        )
        if still < 0:
            return None
        passes = _passes_without_progress(self.validation, self.delta)
        return Finding(
            f"For {passes} passes validation loss has stayed at {self.validation[-1]:.4g} and "
            f"training loss at {self.train[-1]:.4g}."
        )


def _passes_without_progress(losses: list[float], delta: float) -> int:
    """Passes since the loss last became better by more than `delta`."""
    best, since = losses[0], 0
    for loss in losses[1:]:
        since = 0 if loss < best - delta else since + 1
        best = min(best, loss) if since else loss
    return since
