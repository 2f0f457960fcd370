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
    parsed,
    text,
)

RULE = "|".join(RULES)

MACHINERY = frozenset(
    (
        "decoders",
        "processes",
        "log-every",
        "checkpoint-seconds",
        "debug",
        "debug-interval",
        "profile-steps",
    )
)
"""Hyperparameters that change how training runs and not which model it produces."""


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Hyphens stand for underscores outside Python: `batch-size`."""

    name: str = text(
        "model",
        r"[a-z0-9][a-z0-9-]{0,39}",
        "what the model is called in model ids and registry",
        basic=True,
    )
    arch: str = text(
        "efficientnet_lite0",
        r"\w{1,60}",
        "efficientnet_lite0, or a torchvision classifier's name",
        basic=True,
    )
    weights: str = choice(
        "pretrained",
        ("pretrained", "none"),
        "where training starts: the `weights` channel, else bundled, else torchvision's download; "
        "none: random numbers",
        basic=True,
    )
    unfreeze: str = choice(
        "head",
        ("head", "gradual", "all"),
        "what is trained: the last layer, on features computed once; more layers every epoch; all",
        basic=True,
    )
    frozen: int = number(
        0,
        0,
        10_000,
        "stages from the input that never learn, except the head alone: what they see is general, "
        "and at their resolution costs most",
    )
    epochs: int = number(10, 1, 10_000, "passes over the training split", basic=True)
    batch_size: int = number(
        32,
        1,
        65_536,
        "images a step, over all processes together: the result does not hang on how many",
        Categorical(("32", "64", "128")),
        basic=True,
    )
    lr: float = number(
        0.001,
        1e-9,
        1e6,
        "the last layer's step size at its peak",
        Continuous(0.001, 0.1, "Logarithmic"),
        basic=True,
    )
    backbone_lr: float = number(
        0.1, 0, 10, "the other layers' step size as a share of lr: they are nearly right already"
    )
    optimizer: str = choice("adamw", ("adamw", "sgd"), "sgd: with Nesterov's momentum", basic=True)
    momentum: float = number(0.9, 0, 0.9999, "of sgd")
    weight_decay: float = number(
        0.01, 0, 10, "of weights; biases and norms are never decayed", basic=True
    )
    warmup: float = number(0.05, 0, 1, "share of all steps in which lr climbs to its peak")
    clip: float = number(1.0, 0, 1e6, "longest gradient, as a Euclidean norm; 0: any")
    label_smoothing: float = number(0.0, 0, 0.9, "probability spread over the other labels")
    mixup: float = number(0.0, 0, 10, "alpha of the Beta that blends pairs of inputs; 0: never")
    cutmix: float = number(0.0, 0, 10, "alpha of the Beta that sizes pasted patches; 0: never")
    augment: str = choice(
        "trivial",
        ("trivial", "flip", "none"),
        "what training images go through when layers below the head learn: TrivialAugment after a "
        "random crop and mirror; these two only; the crop that serving makes",
        basic=True,
    )
    class_weights: str = choice(
        "none",
        ("none", "balanced"),
        "balanced: each class counts as much as any other",
        basic=True,
    )
    ema: float = number(
        0.0, 0, 0.99999, "decay a step of the averaged weights that are judged and kept; 0: none"
    )
    patience: int = number(
        0,
        0,
        10_000,
        "stop after so many epochs without a better validation loss, and keep the "
        "best; 0: the last epoch is kept and validation selects nothing",
        basic=True,
    )
    search: str = text(
        "none",
        r"none|(?=.{1,2000}$)([a-z-]+=[\w.+:,-]+( |$)){1,30}",
        "ranges to search within this one job, on features computed once: `lr=0.001:0.1 "
        "batch-size=32,64`; the best goes on to be the model",
    )
    trials: int = number(12, 1, 750, "places that a search tries")
    objective: str = choice(
        "validation_accuracy",
        ("validation_accuracy", "validation_loss"),
        "what a search takes the best by",
    )
    tuned: str = choice(
        "no", ("no", "yes"), "yes: validation chose these values, so that it cannot judge them"
    )
    precision: str = choice("auto", ("auto", "fp32"), "auto: bf16 or fp16 on a GPU, fp32 on a CPU")
    compile: str = choice(
        "auto",
        ("auto", "fp32", "none"),
        "what serves on a CPU: OpenVINO in int8 or bf16 where they answer the held-out images as "
        "well as fp32; in fp32; PyTorch",
    )
    image_size: int = number(
        0, 0, 2048, "pixels of the network's square input; 0: its own", basic=True
    )
    seed: int = number(
        0, 0, 2**31 - 1, "of the new layers, the order, augmentation and dropout", basic=True
    )
    decoders: int = number(0, 0, 256, "threads that decode images; 0: one a core")
    processes: int = number(0, 0, 64, "processes a machine; 0: one a GPU, or one")
    max_unreadable: float = number(
        0.01, 0, 1, "share of images that may be damaged and are left out; more ends the job"
    )
    log_every: int = number(10, 1, 1_000_000, "steps between two lines of the log")
    checkpoint_seconds: float = number(
        300, 0, 86_400, "between two checkpoints within an epoch; 0: after every step"
    )
    debug: str = choice(
        "on", ("on", "off"), "losses, gradients and weights are watched, and rules look at them"
    )
    debug_interval: int = number(
        0, 0, 1_000_000, "steps between two looks at tensors; 0: by the length of the run"
    )
    stop_on: str = text(
        "none",
        rf"none|any|({RULE})(,({RULE}))*",
        "rules of the debugger that end training when they find an issue, with what it has learnt",
        basic=True,
    )
    stall_seconds: float = number(
        1800, 0.1, 604_800, "without a batch, after which training counts as stalled"
    )
    profile_steps: int = number(
        5, 0, 100, "steps whose operators are recorded for the profile; 0: no profile"
    )

    @classmethod
    def from_strings(cls, given: Mapping[str, str]) -> "TrainConfig":
        """Raises TrainingFailed, naming the first hyperparameter that is unknown or wrong."""
        known = {flag(each): each for each in fields(cls)}
        values = {
            known[name].name: parsed(known[name], told)
            for name, told in given.items()
            if not _is_the_platforms(name) and _is_known(name, known)
        }
        config = cls(**values)
        config._check()
        return config

    def to_strings(self) -> dict[str, str]:
        """The inverse of `from_strings`."""
        return {flag(each): str(getattr(self, each.name)) for each in fields(self)}

    @property
    def selects(self) -> bool:
        """Whether validation chooses something, so that another split has to judge."""
        return self.patience > 0 or self.search != "none" or self.tuned == "yes"

    def _check(self) -> None:
        if self.unfreeze == "head" and self.cutmix:
            raise TrainingFailed(
                "Hyperparameter cutmix pastes images, but with unfreeze=head features are computed "
                "once: set cutmix to 0, or unfreeze to gradual or all."
            )


def search_space() -> dict[str, Continuous | Categorical]:
    """What tuning varies, by hyperparameter."""
    return {
        flag(each): each.metadata["search"]
        for each in fields(TrainConfig)
        if each.metadata.get("search") is not None
    }


def read(hyperparameters: Path, arguments: list[str]) -> TrainConfig:
    """hyperparameters.json where there is one; the command line's flags win."""
    given: dict[str, str] = {}
    if hyperparameters.exists():
        given = {str(name): _plain(value) for name, value in _json(hyperparameters).items()}
    return TrainConfig.from_strings(given | _flags(arguments))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise TrainingFailed(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise TrainingFailed(f"{path} holds no hyperparameters by name")
    return content


def _plain(value: Any) -> str:
    """Some clients encode a string as JSON once more: `"\\"sgd\\""`."""
    told = str(value)
    return told[1:-1] if len(told) > 1 and told[0] == told[-1] == '"' else told


def _flags(arguments: list[str]) -> dict[str, str]:
    parser = argparse.ArgumentParser(prog="python -m training.train", allow_abbrev=False)
    for each in fields(TrainConfig):
        parser.add_argument(
            f"--{flag(each)}",
            dest=flag(each),
            help=f"{each.metadata['means']} ({each.default})".replace("%", "%%"),
        )
    return {name: told for name, told in vars(parser.parse_args(arguments)).items() if told}


def _is_the_platforms(name: str) -> bool:
    return name.startswith(("sagemaker_", "_tuning_"))


def _is_known(name: str, known: Mapping[str, object]) -> bool:
    if name in known:
        return True
    near = difflib.get_close_matches(name.replace("_", "-"), known, 1)
    hint = f" Is {near[0]} meant?" if near else f" There are: {', '.join(known)}."
    raise TrainingFailed(f"There is no hyperparameter {name!r}.{hint}")
