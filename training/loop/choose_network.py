"""`arch=auto`: the bundled network and the values of its head that predict validation best.

Each network in turn, the fastest first: features of all images, computed once, then a search of
heads on them. A network that would not be ready within `minutes`, by its own pace on its first
images, is left out; the first is tried whatever it takes. Apart from what fits into the time, the
same images on the same machine give the same choice.

Two tables of features are on disk at most: 15 GB for a million images with the joined network's.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from domain.class_folders import WEIGHTS
from training.config import trials
from training.config.errors import TrainingFailed
from training.config.train_config import AUTO, TrainConfig
from training.config.trials import NetworkTrial
from training.context import TrainContext
from training.data.dataset import Dataset
from training.data.loader import Images
from training.loop import in_process_search
from training.loop.in_process_search import SearchResult
from training.loop.setup import TrainSetup, load_network, setup_head
from training.model import bundled
from training.model.pretrained import PretrainedModel

HEAD_SPACE = "lr=0.0003:0.03 weight-decay=0.01,0.1"
"""What is searched for each network, unless `search` says otherwise."""

PACED_IMAGES = 128
"""After these the time of a network's features is estimated."""


@dataclass(frozen=True)
class NetworkChoice:
    config: TrainConfig
    """With the chosen network and its space of heads."""
    pretrained: PretrainedModel
    setup: TrainSetup
    heads: SearchResult
    tried: tuple[NetworkTrial, ...]
    """Every bundled network, the fastest first."""


class _LeftOut(Exception):
    """The time is up, or would be before the features of this network are ready."""


def choose(
    context: TrainContext,
    dataset: Dataset,
    scratch: Path,
    clock: Callable[[], float] = time.monotonic,
) -> NetworkChoice:
    """Raises TrainingFailed or Interrupted."""
    if (context.paths.channels / WEIGHTS).is_dir():
        raise TrainingFailed(
            f"Hyperparameter arch: {AUTO} compares the bundled networks, and --weights belongs to "
            "one. Leave it out, or name its network with --arch."
        )
    if context.distributed.size > 1:
        raise TrainingFailed(f"Hyperparameter arch: {AUTO} needs a single process (processes=1).")
    threads, objective = torch.get_num_threads(), context.config.objective
    sign = 1 if trials.maximizes(objective) else -1
    deadline = clock() + 60 * context.config.minutes
    best: NetworkChoice | None = None
    best_score = 0.0
    tried: list[NetworkTrial] = []
    for arch in bundled.NETWORKS:
        started, folder = clock(), scratch / arch
        folder.mkdir()
        torch.set_num_threads(threads)  # the heads before this network took one
        try:
            pace = _pace(clock, None if best is None else deadline)
            choice = _try_network(context, arch, dataset, folder, pace)
        except _LeftOut as reason:
            tried.append(NetworkTrial(arch, clock() - started, None, {}, str(reason)))
            context.log(tried[-1].describe(objective))
            shutil.rmtree(folder)
            continue
        winner = trials.best(choice.heads.trials, objective)
        assert winner is not None, "a search without a completed trial raises"
        assert winner.score is not None, "a completed trial has a score"
        tried.append(NetworkTrial(arch, clock() - started, winner.score, winner.values))
        context.log(tried[-1].describe(objective))
        if best is None or sign * winner.score > sign * best_score:
            if best is not None:
                shutil.rmtree(scratch / best.config.arch)  # its table
            best, best_score = choice, winner.score
        else:
            shutil.rmtree(folder)
    assert best is not None, "the first network is tried whatever it takes"
    torch.set_num_threads(1)
    return replace(best, tried=tuple(tried))


def _try_network(
    context: TrainContext,
    arch: str,
    dataset: Dataset,
    folder: Path,
    pace: Callable[[int, int], None],
) -> NetworkChoice:
    common = context.config
    space = HEAD_SPACE if common.search == "none" else common.search
    config = replace(common, arch=arch, search=space)
    context = replace(context, config=config)
    pace(0, 0)
    pretrained = load_network(context, dataset)
    with Images(dataset, pretrained.preprocessing, config, context.distributed) as images:
        setup = setup_head(context, pretrained, images, folder, pace)
    return NetworkChoice(config, pretrained, setup, in_process_search.search(context, setup), ())


def _pace(clock: Callable[[], float], deadline: float | None) -> Callable[[int, int], None]:
    """Called with the images that are done and all of them; raises _LeftOut past the deadline, or
    when the pace of PACED_IMAGES or more leads past it.
    """
    first: list[tuple[int, float]] = []

    def check(completed: int, total: int) -> None:
        now = clock()
        if deadline is None:
            return
        if now >= deadline:
            raise _LeftOut("no time is left")
        if not completed:
            return
        if not first:  # the first pass also allocates memory
            first.append((completed, now))
            return
        images, at = first[0]
        if completed - images >= PACED_IMAGES:
            needed = (now - at) * (total - completed) / (completed - images)
            if now + needed > deadline:
                raise _LeftOut(
                    f"its features need {needed:.0f} s more, and {deadline - now:.0f} s are left"
                )

    return check
