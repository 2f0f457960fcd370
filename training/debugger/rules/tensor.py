"""Rules that read gradients, weights, activations and labels."""

import math
from collections import Counter
from collections.abc import Mapping

from training.debugger.rules.base import Diagnosis, Finding, named
from training.debugger.smdebug_compat import ModeKeys
from training.debugger.tensors import Numbers


class ExplodingTensor(Diagnosis):
    """A loss, gradient or weight is no number any more."""

    needs = "losses"
    advice = "Lower lr, or set clip; look for images or labels that no other resembles."

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        saved: Numbers = {}
        saved |= self.tensors.numbers(step, "gradients", "mean", True)
        saved |= self.tensors.numbers(step, "weights", "max", False)
        loss = self.tensors.loss(step)
        saved |= {"loss": loss} if loss is not None else {}
        broken = sorted(name for name, value in saved.items() if not math.isfinite(value))
        if not broken:
            return None
        return Finding(f"No finite number any more: {named(broken)}.", tuple(broken))


class Lasting(Diagnosis):
    """A rule that believes only what it sees of a tensor at several looks in a row."""

    patience = 2
    """Looks."""

    def begin(self) -> None:
        self._times: Counter[str] = Counter()

    def lasting(self, seen: list[str]) -> list[str]:
        """Of the tensors that are ill at this look."""
        self._times = Counter({name: self._times[name] + 1 for name in seen})
        return sorted(name for name in seen if self._times[name] >= self.patience)


class VanishingGradient(Lasting):
    """A layer's gradients are next to nothing, and beside other layers' too."""

    needs = "gradients"
    advice = (
        "The signal does not reach these layers: prefer ReLU to sigmoid, batch norm, residual "
        "connections or pretrained weights; freeze layers that need not learn."
    )
    threshold = 1e-7
    """Mean absolute gradient."""
    share = 1e-3
    """Of the largest such mean: when all of them shrink, the network has learnt its lesson."""

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        means = self.tensors.numbers(step, "gradients", "mean", True)
        limit = min(self.threshold, self.share * max(means.values()))
        gone = self.lasting([name for name, mean in means.items() if mean < limit])
        if not gone:
            return None
        return Finding(
            f"Mean absolute gradients below {self.threshold:g}, where the largest is "
            f"{max(means.values()):.2g}: {named(gone)}.",
            tuple(gone),
        )


class AllZero(Lasting):
    """A layer's gradients are nothing at all."""

    needs = "gradients"
    advice = (
        "No image can change these layers: look for dead ReLUs, for weights that began at zero, "
        "and for outputs that the loss does not depend on."
    )

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        means = self.tensors.numbers(step, "gradients", "mean", True)
        gone = self.lasting([name for name, mean in means.items() if mean == 0])
        return Finding(f"All gradients are 0: {named(gone)}.", tuple(gone)) if gone else None


class PoorWeightInitialization(Diagnosis):
    """As training begins, a layer's weights are alike, or its signal is lost or far too loud."""

    needs = "weights"
    advice = (
        "Begin with pretrained weights, or with Kaiming's for ReLU and Xavier's for others; never "
        "with constants."
    )
    steps = 3
    """Looks that count as the beginning."""
    threshold = 1e5
    """The largest layer's mean absolute gradient over the smallest's."""
    loudest = 20.0
    """A first loss: guessing among a thousand classes has 6.9."""

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        if self.looks > self.steps:
            return None
        loss = self.tensors.loss(step)
        if self.looks == 1 and loss is not None and loss > self.loudest:
            return Finding(f"The first loss is {loss:.4g}, and guessing among a thousand has 6.9.")
        return self._alike(step) or self._uneven(step)

    def _alike(self, step: int) -> Finding | None:
        lows = self.tensors.numbers(step, "weights", "min", False)
        highs = self.tensors.numbers(step, "weights", "max", False)
        alike = sorted(name for name in lows if lows[name] == highs[name])
        if not alike:
            return None
        return Finding(f"All weights of a layer are the same: {named(alike)}.", tuple(alike))

    def _uneven(self, step: int) -> Finding | None:
        means = self.tensors.numbers(step, "gradients", "mean", True)
        weights = {name: mean for name, mean in means.items() if name.endswith("weight")}
        if not weights or max(weights.values()) <= self.threshold * min(weights.values()):
            return None
        weakest = min(weights, key=lambda name: weights[name])
        return Finding(
            f"As training begins, gradients reach from {weights[weakest]:.2g} ({weakest}) to "
            f"{max(weights.values()):.2g}.",
            (weakest,),
        )


class DeadRelu(Lasting):
    """More than half the channels of a ReLU are never above zero."""

    needs = "dead_relu"
    advice = "Lower lr, warm up for longer, or begin with other weights; LeakyReLU cannot die."
    threshold_layer = 50.0
    """Percent of a layer's channels."""
    patience = 3
    """A channel may have nothing to say about one batch."""

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        shares = {
            name: 100 * float(self.tensors.value(name, step))
            for name in self.tensors.names(step, self.needs)
        }
        dead = self.lasting([name for name in shares if shares[name] > self.threshold_layer])
        if not dead:
            return None
        told = [f"{name.rpartition('_dead_')[0]} ({shares[name]:.0f} %)" for name in dead]
        return Finding(f"Channels that never fire: {named(told)}.", tuple(dead))

    def lacks(self) -> str:
        return "" if self.looks else "No ReLU is among the layers that learn, or none was saved."


class ClassImbalance(Diagnosis):
    """Some classes are seen far more often than others."""

    needs = "labels"
    advice = "Set class-weights=balanced, or collect images of the rare classes."
    threshold_imbalance = 10.0
    """Images of the commonest class over those of the rarest."""
    samples = 200
    """Labels to have seen before anything is said."""

    def begin(self) -> None:
        self._seen: Counter[int] = Counter()

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        self._seen.update(int(label) for label in self.tensors.value("labels", step).flatten())
        if self._seen.total() < self.samples:
            return None
        (common, most), *_, (rare, least) = self._seen.most_common()
        if most <= self.threshold_imbalance * least:
            return None
        return Finding(
            f"Of {self._seen.total()} training labels, {most} are class {common} and {least} are "
            f"class {rare}.",
            (f"class {rare}",),
        )

    def lacks(self) -> str:
        few = f"{self._seen.total()} labels were saved, and {self.samples} are needed."
        return super().lacks() or (few if self._seen.total() < self.samples else "")


class StalledTrainingRule(Diagnosis):
    """A step was a long time in coming, or does not come at all."""

    needs = "seconds"
    advice = "Look at the loader, the disk and the network; the profiler report says who waited."
    threshold = 1800.0
    """Seconds between two batches, which learn or are judged."""

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        waited = float(self.tensors.value("seconds", step))
        if waited <= self.threshold:
            return None
        return Finding(f"{waited:.0f} s passed between two batches.")

    @classmethod
    def missed(cls, silent: float, parameters: Mapping[str, str]) -> str:
        if silent <= float(parameters.get("threshold", cls.threshold)):
            return ""
        return f"For {silent:.0f} s no batch has come, and training has not ended."
