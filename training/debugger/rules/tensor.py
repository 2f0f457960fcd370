"""Rules on gradients, weights, activations, labels and the time between batches."""

import math
from collections import Counter
from collections.abc import Mapping

from training.debugger.rules.base import DebuggerRule, Finding, summarize
from training.debugger.smdebug_compat import ModeKeys
from training.debugger.tensors import Reductions


class ExplodingTensor(DebuggerRule):
    """A loss, gradient or weight is NaN or infinite."""

    needs = "losses"
    advice = "Lower --lr, or set --clip; look for outliers among images and labels."

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        saved: Reductions = {}
        saved |= self.tensors.reductions(step, "gradients", "mean", True)
        saved |= self.tensors.reductions(step, "weights", "max", False)
        loss = self.tensors.loss(step)
        saved |= {"loss": loss} if loss is not None else {}
        broken = sorted(name for name, value in saved.items() if not math.isfinite(value))
        if not broken:
            return None
        return Finding(f"NaN or infinite: {summarize(broken)}.", tuple(broken))


class PersistentRule(DebuggerRule):
    """A rule that needs the same finding at several consecutive saved steps."""

    patience = 2
    """Saved steps."""

    def reset_state(self) -> None:
        self._times: Counter[str] = Counter()

    def persistent(self, tensors: list[str]) -> list[str]:
        """Those of `tensors` that were passed at `patience` consecutive calls."""
        self._times = Counter({name: self._times[name] + 1 for name in tensors})
        return sorted(name for name in tensors if self._times[name] >= self.patience)


class VanishingGradient(PersistentRule):
    """A layer's gradients are close to zero, also relative to other layers'."""

    needs = "gradients"
    advice = (
        "Gradients do not reach these layers: use ReLU instead of sigmoid, batch norm, residual "
        "connections or pretrained weights; freeze layers that need no training."
    )
    threshold = 1e-7
    """Mean absolute gradient."""
    share = 1e-3
    """Of the largest such mean: if all of them shrink, training has converged."""

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        means = self.tensors.reductions(step, "gradients", "mean", True)
        limit = min(self.threshold, self.share * max(means.values()))
        gone = self.persistent([name for name, mean in means.items() if mean < limit])
        if not gone:
            return None
        return Finding(
            f"Mean absolute gradients below {self.threshold:g}, while the largest is "
            f"{max(means.values()):.2g}: {summarize(gone)}.",
            tuple(gone),
        )


class AllZero(PersistentRule):
    """All gradients of a layer are zero."""

    needs = "gradients"
    advice = (
        "These layers do not learn: look for dead ReLUs, weights that were initialized with zeros, "
        "and outputs that the loss does not depend on."
    )

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        means = self.tensors.reductions(step, "gradients", "mean", True)
        gone = self.persistent([name for name, mean in means.items() if mean == 0])
        return Finding(f"All gradients are 0: {summarize(gone)}.", tuple(gone)) if gone else None


class PoorWeightInitialization(DebuggerRule):
    """At the start, a layer's weights are all equal, or gradients or the loss are far too large."""

    needs = "weights"
    advice = (
        "Start from pretrained weights, or use Kaiming initialization for ReLU and Xavier for "
        "other "
        "activations; never constants."
    )
    steps = 3
    """Saved steps that count as the start."""
    threshold = 1e5
    """Ratio of the largest to the smallest mean absolute gradient of the layers."""
    loudest = 20.0
    """Of the first loss: chance level for a thousand classes is 6.9."""

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        if self.checks > self.steps:
            return None
        loss = self.tensors.loss(step)
        if self.checks == 1 and loss is not None and loss > self.loudest:
            return Finding(
                f"The first loss is {loss:.4g}; chance level for a thousand classes is 6.9."
            )
        return self._check_constant(step) or self._check_uneven(step)

    def _check_constant(self, step: int) -> Finding | None:
        lows = self.tensors.reductions(step, "weights", "min", False)
        highs = self.tensors.reductions(step, "weights", "max", False)
        constant = sorted(name for name in lows if lows[name] == highs[name])
        if not constant:
            return None
        return Finding(f"All weights of a layer are equal: {summarize(constant)}.", tuple(constant))

    def _check_uneven(self, step: int) -> Finding | None:
        means = self.tensors.reductions(step, "gradients", "mean", True)
        weights = {name: mean for name, mean in means.items() if name.endswith("weight")}
        if not weights or max(weights.values()) <= self.threshold * min(weights.values()):
            return None
        weakest = min(weights, key=lambda name: weights[name])
        return Finding(
            f"At the start, gradients range from {weights[weakest]:.2g} ({weakest}) to "
            f"{max(weights.values()):.2g}.",
            (weakest,),
        )


class DeadRelu(PersistentRule):
    """More than half the channels of a ReLU are always zero."""

    needs = "dead_relu"
    advice = "Lower --lr, raise --warmup, or use other initial weights; LeakyReLU cannot die."
    threshold_layer = 50.0
    """Percent of a layer's channels."""
    patience = 3
    """A channel may be zero for a single batch."""

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        shares = {
            name: 100 * float(self.tensors.value(name, step))
            for name in self.tensors.names(step, self.needs)
        }
        dead = self.persistent([name for name in shares if shares[name] > self.threshold_layer])
        if not dead:
            return None
        shown = [f"{name.rpartition('_dead_')[0]} ({shares[name]:.0f} %)" for name in dead]
        return Finding(f"Channels that are always zero: {summarize(shown)}.", tuple(dead))

    def missing_data(self) -> str:
        return "" if self.checks else "There is no ReLU in the trained layers, or none was saved."


class ClassImbalance(DebuggerRule):
    """Some classes are far more frequent than others."""

    needs = "labels"
    advice = "Pass --class-weights balanced, or collect images of the rare classes."
    threshold_imbalance = 10.0
    """Ratio of the most to the least frequent class."""
    samples = 200
    """Minimum number of labels."""

    def reset_state(self) -> None:
        self._counts: Counter[int] = Counter()

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        self._counts.update(int(label) for label in self.tensors.value("labels", step).flatten())
        if self._counts.total() < self.samples:
            return None
        counts: Mapping[str, int] = self.tensors.class_images
        images = "training images"
        if not counts:  # tensors of another program: only the labels of saved steps are known
            counts = {f"class {label}": count for label, count in self._counts.items()}
            images = "labels in the saved steps"
        common, rare = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        if counts[common] <= self.threshold_imbalance * counts[rare]:
            return None
        return Finding(
            f"Of {sum(counts.values()):,} {images}, {counts[common]:,} are of {common} and "
            f"{counts[rare]:,} of {rare}.",
            (rare,),
        )

    def missing_data(self) -> str:
        few = f"It needs {self.samples} labels; saved: {self._counts.total()}."
        return super().missing_data() or (few if self._counts.total() < self.samples else "")


class StalledTrainingRule(DebuggerRule):
    """A step took too long to start, or does not start at all."""

    needs = "seconds"
    advice = "Check the loader, the disk and the network; the profiler report shows what waited."
    threshold = 1800.0
    """Seconds between two batches of training or evaluation."""

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        waited = float(self.tensors.value("seconds", step))
        if waited <= self.threshold:
            return None
        return Finding(f"{waited:.0f} s passed between two batches.")

    @classmethod
    def check_silence(cls, idle_seconds: float, parameters: Mapping[str, str]) -> str:
        if idle_seconds <= float(parameters.get("threshold", cls.threshold)):
            return ""
        return f"No batch for {idle_seconds:.0f} s, and training has not ended."
