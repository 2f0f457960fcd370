"""Small trainings, watched as a job's are, on points that are easily told apart."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from training.config import hook_config
from training.debugger.evaluator import DEFAULT_CONFIGS, RuleConfig, RuleEvaluator
from training.debugger.hook import Hook
from training.debugger.report import ISSUE, RuleResult
from training.debugger.smdebug_compat import last_error, reset_errors

FEATURES, CLASSES, BATCH = 12, 3, 16


def layers(depth: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    width = FEATURES
    for _ in range(depth):
        parts += [nn.Linear(width, 24), activation()]
        width = 24
    return nn.Sequential(*parts, nn.Linear(width, CLASSES))


def made(count: int, seed: int, noise: float, rare: float = 1.0) -> tuple[torch.Tensor, ...]:
    """Points around three centres; of the last class only a share."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, FEATURES, generator=torch.Generator().manual_seed(1))
    weights = torch.tensor([1.0, 1.0, rare])
    labels = torch.multinomial(weights, count, replacement=True, generator=generator)
    inputs = centres[labels] + noise * torch.randn(count, FEATURES, generator=generator)
    return inputs, labels


class Run:
    """A real training, watched as a job's is."""

    def __init__(
        self,
        root: Path,
        network: nn.Module,
        every: int = 1,
        rules: Sequence[RuleConfig] = DEFAULT_CONFIGS,
    ) -> None:
        reset_errors()
        hook_config.write(root / hook_config.CONFIG_FILE, root / "tensors", every)
        hook = Hook.create(root / hook_config.CONFIG_FILE, 0)
        assert hook is not None
        self.hook, self.network, self.loss = hook, network, nn.CrossEntropyLoss()
        self.hook.attach(network, self.loss)
        self.jury = RuleEvaluator(root / "tensors", rules)

    def learn(
        self,
        train: tuple[torch.Tensor, ...],
        validation: tuple[torch.Tensor, ...] | None = None,
        lrs: Sequence[float] = (0.05,) * 6,
        lr: float | None = None,
        pause: float = 0.0,
    ) -> dict[str, RuleResult]:
        """What each rule says in the end; `lrs`: of each epoch."""
        for epoch, rate in enumerate(lrs):
            order = torch.randperm(len(train[1]), generator=torch.Generator().manual_seed(epoch))
            self.network.train()
            learnt, steps = 0.0, 0
            for at in range(0, len(order) - BATCH + 1, BATCH):
                time.sleep(pause if at else 0)
                inputs, labels = (tensor[order[at : at + BATCH]] for tensor in train)
                loss = self._step(inputs, labels, rate if lr is None else lr)
                learnt, steps = learnt + loss, steps + 1
                if not math.isfinite(loss):
                    return self._ended()
            self.network.eval()
            if validation:
                with torch.inference_mode():
                    judged = nn.functional.cross_entropy(self.network(validation[0]), validation[1])
                self.hook.record_evaluation("validation", float(judged), learnt / steps)
            self.hook.flush()
            self.jury.evaluate()
        return self._ended()

    def _step(self, inputs: torch.Tensor, labels: torch.Tensor, lr: float) -> float:
        scores = self.network(inputs)
        self.hook.record_labels(labels)
        loss = self.loss(scores, labels)
        self.network.zero_grad()
        loss.backward()
        torch.optim.SGD(self.network.parameters(), lr).step()
        value = float(loss.detach())
        if not math.isfinite(value):
            self.hook.record_divergence(value)
        return value

    def _ended(self) -> dict[str, RuleResult]:
        self.hook.flush()
        self.jury.evaluate()
        self.hook.close()
        assert last_error() is None
        return {verdict.rule: verdict for verdict in self.jury.results()}


def fired(verdicts: dict[str, RuleResult]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.state == ISSUE}
