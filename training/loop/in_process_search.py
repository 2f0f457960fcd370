"""A search within one training job: points that cover its space, and a head for each.

Of the finished trials only the best keeps its weights.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from torch import nn

from training.config import search_space
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.config.trials import Trial, best, finish_trial
from training.context import TrainContext
from training.data.features import Features
from training.loop.heads import Head, ParallelHeads
from training.loop.setup import TrainSetup, initial_state, make_loss
from training.loop.state import TrainState

HEADS_AT_ONCE = 32
"""In memory: a head of 1,280 features and 1,000 classes takes 20 MB with its optimizer's state."""

TRIAL_OVERRIDES = {"search": "none", "tuned": "yes"}
"""A trial's own configuration is no search, and was chosen by validation."""


@dataclass(frozen=True)
class SearchResult:
    config: TrainConfig
    """With the best values."""
    state: TrainState
    """After its last step."""
    trials: tuple[Trial, ...]


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
        for heads in self._groups():
            self.heads.train(heads)
            for head in heads:
                kept = self._keep_better(head, kept)
        trials = tuple(sorted(self.trials, key=lambda trial: int(trial.name)))
        if kept is None:
            raise TrainingFailed(f"All {len(trials)} trials failed. The first: {trials[0].failure}")
        self.model.load_state_dict(kept.linear.state_dict())
        kept.state.model = self.model
        return SearchResult(kept.config, kept.state, trials)

    def _groups(self) -> Iterator[list[Head]]:
        """Heads with the same batch size together."""
        config = self.context.config
        space = search_space.parse_space(config.search)
        points = search_space.spread_points(space, config.trials, config.seed)
        strings = config.to_strings()
        trials = [
            (number, TrainConfig.from_strings({**strings, **values, **TRIAL_OVERRIDES}))
            for number, values in enumerate(points, 1)
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

    def _keep_better(self, head: Head, kept: Head | None) -> Head | None:
        config = self.context.config
        names = search_space.parse_space(config.search)
        values = {name: text for name, text in head.config.to_strings().items() if name in names}
        history = head.state.history
        trial = finish_trial(str(head.number), values, history, head.config, head.failure)
        self.trials.append(trial)
        return head if best(self.trials, config.objective) is trial else kept
