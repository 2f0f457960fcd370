"""The hyperparameters, the command line's flags and the search space: one frozen value."""

import argparse
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from training.config.errors import TrainingFailed
from training.config.hook_config import RULES
from training.config.hyperparameter import (
    Categorical,
    Continuous,
    choice,
    flag,
    number,
    parse,
    text,
)

AUTO = "auto"
"""For `arch`: the bundled network that predicts validation best within `minutes`."""

RULE_PATTERN = "|".join(RULES)

MACHINERY = frozenset(
    (
        "decoders",
        "processes",
        "log-every",
        "checkpoint-seconds",
        "debug",
        "debug-interval",
        "check-data",
        "profile-steps",
    )
)
"""Hyperparameters that change how training runs and not which model it produces."""


NAME_PATTERN = r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"
"""Of a model. No name in the registry ends with a hyphen: `[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}` is
SageMaker's pattern for a model package group.
"""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Hyphens stand for underscores outside Python: `batch-size`."""

    name: str = text(
        "model",
        NAME_PATTERN,
        "name of the model in model ids and in the registry",
        basic=True,
    )
    arch: str = text(
        "efficientnet_lite0",
        r"\w{1,60}",
        "efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, efficientnet_lite1_lite2 (the "
        "last two side by side), a torchvision classifier's name, or auto: the one of the bundled "
        "networks that predicts validation best within `minutes`",
        basic=True,
    )
    minutes: float = number(
        1.0,
        0.05,
        10_000,
        "time of arch=auto for trying networks and their heads; a network that would not be ready "
        "in it is left out, but for the fastest. Evaluating and compiling the chosen one come "
        "after it",
        basic=True,
    )
    weights: str = choice(
        "pretrained",
        ("pretrained", "none"),
        "initial weights: the `weights` channel, else the bundled ones, else torchvision's "
        "download; "
        "none: random",
        basic=True,
    )
    unfreeze: str = choice(
        "head",
        ("head", "gradual", "all"),
        "layers that are trained: the head, on features computed once; more layers every epoch; "
        "all",
        basic=True,
    )
    frozen: int = number(
        0,
        0,
        10_000,
        "stages, counted from the input, that stay frozen: their features are general, and "
        "training "
        "them costs most",
    )
    epochs: int = number(10, 1, 10_000, "passes over the training split", basic=True)
    batch_size: int = number(
        32,
        1,
        65_536,
        "images per step, summed over all processes: the result does not depend on their number",
        Categorical(("32", "64", "128")),
        basic=True,
    )
    lr: float = number(
        0.001,
        1e-9,
        1e6,
        "peak learning rate of the head",
        Continuous(0.001, 0.1, "Logarithmic"),
        basic=True,
    )
    backbone_lr: float = number(0.1, 0, 10, "learning rate of the other layers, as a share of lr")
    optimizer: str = choice(
        "adamw", ("adamw", "sgd"), "adamw, or sgd with Nesterov momentum", basic=True
    )
    momentum: float = number(0.9, 0, 0.9999, "momentum of sgd")
    weight_decay: float = number(
        0.01, 0, 10, "weight decay; biases and norms are not decayed", basic=True
    )
    warmup: float = number(0.05, 0, 1, "share of all steps in which lr rises to its peak")
    clip: float = number(1.0, 0, 1e6, "clip gradients to this L2 norm; 0: no clipping")
    label_smoothing: float = number(0.0, 0, 0.9, "probability that is spread over the other labels")
    mixup: float = number(0.0, 0, 10, "alpha of the Beta distribution for mixup; 0: off")
    cutmix: float = number(0.0, 0, 10, "alpha of the Beta distribution for CutMix; 0: off")
    augment: str = choice(
        "trivial",
        ("trivial", "flip", "none"),
        "augmentation when layers below the head are trained: TrivialAugment after a random crop "
        "and "
        "flip; crop and flip only; the center crop of serving",
        basic=True,
    )
    class_weights: str = choice(
        "none",
        ("none", "balanced"),
        "balanced: every class has the same weight in the loss",
        basic=True,
    )
    ema: float = number(
        0.0,
        0,
        0.99999,
        "decay of the moving average of weights, which is evaluated and kept; 0: off",
    )
    patience: int = number(
        0,
        0,
        10_000,
        "stop after this many epochs without a lower validation loss and keep the best epoch; "
        "0: keep the last epoch, and select nothing by validation",
        basic=True,
    )
    search: str = text(
        "none",
        r"none|(?=.{1,2000}$)([a-z-]+=[\w.+:,-]+( |$)){1,30}",
        "ranges to search within this one job, on features computed once: `lr=0.001:0.1 "
        "batch-size=32,64`; the best trial becomes the model",
    )
    trials: int = number(12, 1, 750, "trials of a search")
    objective: str = choice(
        "validation_accuracy",
        ("validation_accuracy", "validation_loss"),
        "metric by which a search selects the best trial",
    )
    tuned: str = choice(
        "no",
        ("no", "yes"),
        "yes: these values were selected by validation, so the test split evaluates them",
    )
    precision: str = choice("auto", ("auto", "fp32"), "auto: bf16 or fp16 on a GPU, fp32 on a CPU")
    compile: str = choice(
        "auto",
        ("auto", "fp32", "none"),
        "engine on a CPU: OpenVINO in int8 or bf16 if it predicts the held-out images as well as "
        "fp32; OpenVINO in fp32; PyTorch",
    )
    max_error: float = number(
        0.0,
        0,
        0.5,
        "promised share of wrong answers, such as 5%: validation images choose a threshold, and "
        "answers below it carry the decision unsure; 0: no promise",
        basic=True,
    )
    unknown: float = number(
        0.0,
        0,
        0.5,
        "share of images of the classes that may be called unknown, such as 5%: answers about "
        "images unlike all training images carry the decision unknown; 0: none does",
        basic=True,
    )
    image_size: int = number(
        0, 0, 2048, "side of the network's input in pixels; 0: the network's default", basic=True
    )
    seed: int = number(
        0, 0, 2**31 - 1, "seed of new layers, order, augmentation and dropout", basic=True
    )
    decoders: int = number(0, 0, 256, "threads that decode images; 0: one per core")
    processes: int = number(0, 0, 64, "processes per machine; 0: one per GPU, or one")
    max_unreadable: float = number(
        0.01, 0, 1, "share of images that may be unreadable and are skipped; more ends the job"
    )
    check_data: str = choice(
        "on", ("on", "off"), "look for wrong labels, copies and the like, and report them"
    )
    log_every: int = number(10, 1, 1_000_000, "steps between two log lines")
    checkpoint_seconds: float = number(
        300, 0, 86_400, "seconds between two checkpoints within an epoch; 0: after every step"
    )
    debug: str = choice(
        "on", ("on", "off"), "save losses, gradients and weights, and evaluate rules on them"
    )
    debug_interval: int = number(
        0, 0, 1_000_000, "steps between two saved steps; 0: by the length of the run"
    )
    stop_on: str = text(
        "none",
        rf"none|any|({RULE_PATTERN})(,({RULE_PATTERN}))*",
        "debugger rules that end training when they find an issue; the model so far is kept",
        basic=True,
    )
    stall_seconds: float = number(
        1800, 0.1, 604_800, "seconds without a batch after which training counts as stalled"
    )
    profile_steps: int = number(
        5, 0, 100, "steps whose operators are traced for the profiler report; 0: no report"
    )

    @classmethod
    def from_strings(cls, strings: Mapping[str, str]) -> "TrainConfig":
        """Raises TrainingFailed, naming the first hyperparameter that is unknown or wrong."""
        known = {flag(spec): spec for spec in fields(cls)}
        values = {
            known[name].name: parse(known[name], raw)
            for name, raw in strings.items()
            if not _is_platform_parameter(name) and _check_known(name, known)
        }
        config = cls(**values)
        config._check()
        return config

    def to_strings(self) -> dict[str, str]:
        """The inverse of `from_strings`."""
        return {flag(spec): str(getattr(self, spec.name)) for spec in fields(self)}

    @property
    def selects_by_validation(self) -> bool:
        """Whether validation selects anything, so that a test split must evaluate the result."""
        return (
            self.patience > 0 or self.search != "none" or self.tuned == "yes" or self.arch == AUTO
        )

    def _check(self) -> None:
        if self.arch == AUTO and (self.unfreeze != "head" or self.weights == "none"):
            raise TrainingFailed(
                "Hyperparameter arch: auto compares heads on the features of pretrained networks; "
                "it needs unfreeze=head and weights=pretrained."
            )
        if self.unfreeze == "head" and self.cutmix:
            raise TrainingFailed(
                "Hyperparameter cutmix pastes images, but with unfreeze=head features are computed "
                "once: set cutmix to 0, or unfreeze to gradual or all."
            )


def search_space() -> dict[str, Continuous | Categorical]:
    """What tuning varies, by hyperparameter."""
    return {
        flag(spec): spec.metadata["search"]
        for spec in fields(TrainConfig)
        if spec.metadata.get("search") is not None
    }


def read(hyperparameters: Path, arguments: list[str]) -> TrainConfig:
    """hyperparameters.json if there is one; flags override it."""
    strings: dict[str, str] = {}
    if hyperparameters.exists():
        strings = {str(name): _plain(value) for name, value in _json(hyperparameters).items()}
    return TrainConfig.from_strings(strings | _parse_flags(arguments))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise TrainingFailed(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise TrainingFailed(f"{path} is not a JSON object of hyperparameters")
    return content


def _plain(value: Any) -> str:
    """Some clients encode a string as JSON twice: `"\\"sgd\\""`."""
    text = str(value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _parse_flags(arguments: list[str]) -> dict[str, str]:
    parser = argparse.ArgumentParser(prog="python -m training.train", allow_abbrev=False)
    for spec in fields(TrainConfig):
        parser.add_argument(
            f"--{flag(spec)}",
            dest=flag(spec),
            help=f"{spec.metadata['means']} ({spec.default})".replace("%", "%%"),
        )
    return {name: raw for name, raw in vars(parser.parse_args(arguments)).items() if raw}


def _is_platform_parameter(name: str) -> bool:
    return name.startswith(("sagemaker_", "_tuning_"))


def _check_known(name: str, known: Mapping[str, object]) -> bool:
    if name in known:
        return True
    near = difflib.get_close_matches(name.replace("_", "-"), known, 1)
    hint = f" Is {near[0]} meant?" if near else f" There are: {', '.join(known)}."
    raise TrainingFailed(f"There is no hyperparameter {name!r}.{hint}")
