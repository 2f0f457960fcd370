"""A whole search within one training job: places all over its space, and a head for each.

Of the trials that are over only the best keeps its weights.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from torch import nn

from training.config import search_space
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.config.trials import Trial, best, judged
from training.data.dataset import Dataset
from training.data.features import Features
from training.distributed import World
from training.loop import setup
from training.loop.heads import Head, SideBySide
from training.loop.setup import Lesson
from training.loop.state import Course

AT_ONCE = 32
"""Heads in memory: one of 1,280 features and 1,000 classes takes 20 MB with its moments."""

FOUND = {"search": "none", "tuned": "yes"}
"""What a trial is told instead of the search that it is part of."""


@dataclass(frozen=True)
class Found:
    told: TrainConfig
    """With the best values."""
    course: Course
    """After its last step."""
    trials: tuple[Trial, ...]


def searched(
    told: TrainConfig,
    prepared: Lesson,
    dataset: Dataset,
    world: World,
    go_on: Callable[[], None],
    say: Callable[[str], None],
) -> Found:
    """`go_on` is called each epoch, and may raise. Raises TrainingFailed where nothing is found."""
    if world.size > 1:
        raise TrainingFailed("A search within one job runs in one process: set processes to 1.")
    learner, features = prepared.learner, prepared.source
    assert isinstance(learner, nn.Linear)
    assert isinstance(features, Features)
    together = SideBySide(told, features, dataset, world, go_on, say)
    return _Search(told, learner, dataset, world, together).run()


@dataclass(frozen=True)
class _Search:
    told: TrainConfig
    learner: nn.Linear
    """As every head begins, and as the best is left."""
    dataset: Dataset
    world: World
    together: SideBySide
    over: list[Trial] = field(default_factory=list)

    def run(self) -> Found:
        kept: Head | None = None
        for heads in self._turns():
            self.together.learn(heads)
            for head in heads:
                kept = self._better(head, kept)
        trials = tuple(sorted(self.over, key=lambda trial: int(trial.name)))
        if kept is None:
            raise TrainingFailed(
                f"None of the {len(trials)} trials came to anything. The first: {trials[0].failure}"
            )
        self.learner.load_state_dict(kept.module.state_dict())
        kept.course.module = self.learner
        return Found(kept.told, kept.course, trials)

    def _turns(self) -> Iterator[list[Head]]:
        """Those that take the same batches together."""
        space = search_space.read(self.told.search)
        told = [
            (number, TrainConfig.from_strings({**self.told.to_strings(), **values, **FOUND}))
            for number, values in enumerate(
                search_space.spread(space, self.told.trials, self.told.seed), 1
            )
        ]
        told.sort(key=lambda each: each[1].batch_size)
        for _, same in groupby(told, lambda each: each[1].batch_size):
            every = list(same)
            for start in range(0, len(every), AT_ONCE):
                yield [self._head(number, own) for number, own in every[start : start + AT_ONCE]]

    def _head(self, number: int, told: TrainConfig) -> Head:
        course = setup.begun(told, copy.deepcopy(self.learner), self.world)
        return Head(number, told, course, setup.loss(told, self.dataset, self.world))

    def _better(self, head: Head, kept: Head | None) -> Head | None:
        names = search_space.read(self.told.search)
        values = {name: text for name, text in head.told.to_strings().items() if name in names}
        trial = judged(str(head.number), values, head.course.history, head.told, head.failure)
        self.over.append(trial)
        return head if best(self.over, self.told.objective) is trial else kept
