"""What the debugger's hook saves and how often, in the words of SageMaker's DebugHookConfig.

The launcher sends these to SageMaker where its own Debugger is used; without it the container
tells them to the hook itself.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MOST = 500
"""Looks in a run."""

WHOLE, WHOLE_LEAST = 20, 10
HEAD, HEAD_LEAST = 200, 3
"""Steps between two looks, unless that makes fewer looks than the least: a look costs less than a
step of a whole network, and as much as fifteen of a head."""

RULES = (
    "LossNotDecreasing",
    "Overfit",
    "Overtraining",
    "VanishingGradient",
    "ExplodingTensor",
    "DeadRelu",
    "PoorWeightInitialization",
    "ClassImbalance",
    "AllZero",
    "StalledTrainingRule",
)
"""By AWS's names, for those who do not import them."""

CONFIG = "debughookconfig.json"
TENSORS = "tensors"

Collection = Mapping[str, Any]

NEVER = {"eval.end_step": "0", "predict.end_step": "0", "global.end_step": "0"}


def interval(steps: int, whole: bool) -> int:
    """Between two looks, in a run of so many steps of the `whole` network or of its head."""
    usual, least = (WHOLE, WHOLE_LEAST) if whole else (HEAD, HEAD_LEAST)
    return max(1, min(-(-steps // least), max(usual, -(-steps // MOST))))  # both rounded up


def collections(every: int) -> Sequence[Collection]:
    """A pass over validation (eval) or test (predict) is one step of that mode."""
    often = str(every)
    once_a_pass = {"eval.save_interval": "1", "predict.save_interval": "1"}
    return [
        _collection("losses", **{"train.save_interval": often}, **once_a_pass),
        _collection("gradients", reductions="abs_mean", **_train(often)),
        _collection("weights", reductions="min,max", **_train(often)),
        _collection("dead_relu", include_regex="_dead_[0-9]+$", **_train(often)),
        _collection("labels", include_regex="^labels$", **_train(often)),
        _collection("seconds", include_regex="^seconds$", **_train(often)),
    ]


def _train(often: str) -> dict[str, str]:
    return {"train.save_interval": often, **NEVER}


def _collection(name: str, **parameters: str) -> Collection:
    return {"CollectionName": name, "CollectionParameters": parameters}


def write(path: Path, tensors: Path, every: int) -> None:
    """As SageMaker writes it for a job that brings a DebugHookConfig."""
    content = {"LocalPath": str(tensors), "CollectionConfigurations": collections(every)}
    path.write_text(json.dumps(content, indent=1))
