"""A search within one training job: points that cover its space, and a head for each.

Of the finished trials only the best keeps its weights.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import nn

from training.config import search_space
from training.config import trials as trials_file
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.config.trials import Trial, best, finish_trial
from training.context import TrainContext
from training.data.features import Features
from training.loop.evaluate import is_correct
from training.loop.heads import Head, ParallelHeads
from training.loop.setup import TrainSetup, initial_state, make_loss
from training.loop.state import TrainState
from training.model.mcnemar import PairedCounts

HEADS_AT_ONCE = 32
"""In memory: a head of 1,280 features and 1,000 classes takes 20 MB with its optimizer's state."""

DEFAULT_NUMBER = 0
"""Of the head with the default values, which is compared with the best and cannot become it."""

SIGNIFICANT = 0.05

TRIAL_OVERRIDES = {"search": "none", "tuned": "yes"}
"""A trial's own configuration is no search, and was chosen by validation."""


@dataclass(frozen=True)
class SearchResult:
    config: TrainConfig
    """With the best values."""
    state: TrainState
    """After its last step."""
    trials: tuple[Trial, ...]
    comparison: str
    """With the default values, on the validation images."""


def search(context: TrainContext, setup: TrainSetup) -> SearchResult:
    """Raises TrainingFailed if no trial succeeds."""
    if context.distributed.size > 1:
        raise TrainingFailed("A search within one job runs in one process: set processes to 1.")
    model, features = setup.model, setup.source
    assert isinstance(model, nn.Linear)
    assert isinstance(features, Features)
    heads = ParallelHeads(context, features, setup.dataset)
    return _Search(context, setup, model, heads).run()


@dataclass(frozen=True)
class _Search:
    context: TrainContext
    setup: TrainSetup
    model: nn.Linear
    """Every head starts as a copy of it, and the best is loaded into it."""
    heads: ParallelHeads
    trials: list[Trial] = field(default_factory=list)

    def run(self) -> SearchResult:
        kept: Head | None = None
        default: Head | None = None
        for heads in self._groups():
            self.heads.train(heads)
            for head in heads:
                if head.number == DEFAULT_NUMBER:
                    default = head
                else:
                    kept = self._keep_better(head, kept)
        trials = tuple(sorted(self.trials, key=lambda trial: int(trial.name)))
        if kept is None:
            raise TrainingFailed(f"All {len(trials)} trials failed. The first: {trials[0].failure}")
        assert default is not None
        comparison = self._compare(kept, default)
        self.model.load_state_dict(kept.linear.state_dict())
        kept.state.model = self.model
        return SearchResult(kept.config, kept.state, trials, comparison)

    def _groups(self) -> Iterator[list[Head]]:
        """Heads with the same batch size together."""
        config = self.context.config
        space = search_space.parse_space(config.search)
        points = search_space.spread_points(space, config.trials, config.seed)
        strings = config.to_strings()
        trials = [
            (number, TrainConfig.from_strings({**strings, **values, **TRIAL_OVERRIDES}))
            for number, values in [(DEFAULT_NUMBER, {}), *enumerate(points, 1)]
        ]
        trials.sort(key=lambda trial: trial[1].batch_size)
        for _, group in groupby(trials, lambda trial: trial[1].batch_size):
            same_size = list(group)
            for start in range(0, len(same_size), HEADS_AT_ONCE):
                chunk = same_size[start : start + HEADS_AT_ONCE]
                yield [self._head(number, trial_config) for number, trial_config in chunk]

    def _head(self, number: int, config: TrainConfig) -> Head:
        distributed = self.context.distributed
        state = initial_state(config, copy.deepcopy(self.model), distributed)
        return Head(number, config, state, make_loss(config, self.setup.dataset, distributed))

    def _compare(self, best: Head, default: Head) -> str:
        """Whether the best trial predicts validation better than the default values, or by chance:
        it is the best of many, chosen on the same images.
        """
        names = search_space.parse_space(self.context.config.search)
        values = trials_file.default_values(default.config, names)
        if default.failure:
            return f"The default, {values}, failed: {default.failure}"
        right, other = self._correct(best), self._correct(default)
        paired = PairedCounts(int((right & ~other).sum()), int((other & ~right).sum()))
        return describe_comparison(values, paired, len(right), len(self.trials))

    def _correct(self, head: Head) -> torch.Tensor:
        """(N,): which validation images a head with the weights it keeps predicts right."""
        head.state.load_best()
        device = self.context.distributed.device
        with torch.inference_mode():
            parts = [
                is_correct(head.linear(inputs.to(device)), targets.to(device)).cpu()
                for inputs, targets in self.heads.features.eval_batches("validation")
            ]
        return torch.cat(parts)

    def _keep_better(self, head: Head, kept: Head | None) -> Head | None:
        config = self.context.config
        names = search_space.parse_space(config.search)
        values = {name: text for name, text in head.config.to_strings().items() if name in names}
        history = head.state.history
        trial = finish_trial(str(head.number), values, history, head.config, head.failure)
        self.trials.append(trial)
        return head if best(self.trials, config.objective) is trial else kept


def describe_comparison(values: str, paired: PairedCounts, images: int, trials: int) -> str:
    """`values`: the default ones; a win is an image that only the best trial predicts right.

    It says nothing of the loss, which a search may have for its objective. The chance that one of
    `trials` wins so by luck is at most their number times that of one (Bonferroni).
    """
    chance = min(1.0, paired.p_value * trials)
    if chance >= SIGNIFICANT:
        verdict = f"The best is no more accurate than the default, {values}, beyond chance"
    elif paired.wins > paired.losses:
        verdict = f"The best is more accurate than the default, {values}"
    else:
        verdict = f"The best is less accurate than the default, {values}"
    return (
        f"{verdict}. Of {images:,} validation images, {paired.wins:,} are right with the best only "
        f"and {paired.losses:,} with the default only (exact McNemar: p = {chance:.3g} for the "
        f"best of {trials:,})."
    )
