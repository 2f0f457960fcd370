"""What the debugger's hook saves and how often, in the words of SageMaker's DebugHookConfig.

The launcher sends these to SageMaker if its managed Debugger is used; otherwise the container
configures the hook with them itself.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MAX_SAVED_STEPS = 500
"""In one run."""

NETWORK_INTERVAL, NETWORK_MIN_SAVES = 20, 10
HEAD_INTERVAL, HEAD_MIN_SAVES = 200, 3
"""Steps between two saved steps, and the minimum number of saved steps in a run: saving costs less
than one step of a whole network, and as much as fifteen steps of a head."""

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
"""AWS's names, for modules that must not import the rules."""

CONFIG_FILE = "debughookconfig.json"
TENSORS_FOLDER = "tensors"

Collection = Mapping[str, Any]

NO_OTHER_MODES = {"eval.end_step": "0", "predict.end_step": "0", "global.end_step": "0"}


def interval(steps: int, whole: bool) -> int:
    """Steps between two saved steps, in a run of the `whole` network or of its head."""
    usual, least = (
        (NETWORK_INTERVAL, NETWORK_MIN_SAVES) if whole else (HEAD_INTERVAL, HEAD_MIN_SAVES)
    )
    return max(
        1, min(-(-steps // least), max(usual, -(-steps // MAX_SAVED_STEPS)))
    )  # both rounded up


def collections(interval_steps: int) -> Sequence[Collection]:
    """A pass over validation (eval) or test (predict) is one step of that mode."""
    steps = str(interval_steps)
    once_a_pass = {"eval.save_interval": "1", "predict.save_interval": "1"}
    return [
        _collection("losses", **{"train.save_interval": steps}, **once_a_pass),
        _collection("gradients", reductions="abs_mean", **_train(steps)),
        _collection("weights", reductions="min,max", **_train(steps)),
        _collection("dead_relu", include_regex="_dead_[0-9]+$", **_train(steps)),
        _collection("labels", include_regex="^labels$", **_train(steps)),
        _collection("seconds", include_regex="^seconds$", **_train(steps)),
    ]


def _train(steps: str) -> dict[str, str]:
    return {"train.save_interval": steps, **NO_OTHER_MODES}


def _collection(name: str, **parameters: str) -> Collection:
    return {"CollectionName": name, "CollectionParameters": parameters}


def write(path: Path, tensors: Path, interval_steps: int) -> None:
    """As SageMaker writes it for a job with a DebugHookConfig."""
    content = {"LocalPath": str(tensors), "CollectionConfigurations": collections(interval_steps)}
    path.write_text(json.dumps(content, indent=1))
