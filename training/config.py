"""The hyperparameters, the command line's flags and the search space: one frozen value."""

import argparse
import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from training.failure import TrainingFailed


def _number(default: float, low: float, high: float, means: str, search: Any = None) -> Any:
    return field(
        default=default, metadata={"low": low, "high": high, "means": means, "search": search}
    )


def _choice(default: str, choices: tuple[str, ...], means: str) -> Any:
    return field(default=default, metadata={"choices": choices, "means": means})


def _text(default: str, pattern: str, means: str) -> Any:
    return field(default=default, metadata={"pattern": pattern, "means": means})


@dataclass(frozen=True, slots=True)
class Continuous:
    low: float
    high: float
    scale: str
    """SageMaker's word: Linear or Logarithmic."""


@dataclass(frozen=True, slots=True)
class Categorical:
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Hyphens stand for underscores outside Python: `batch-size`."""

    name: str = _text(
        "model", r"[a-z0-9][a-z0-9-]{0,39}", "what the model is called in model ids and registry"
    )
    arch: str = _text(
        "efficientnet_lite0", r"\w{1,60}", "efficientnet_lite0, or a torchvision classifier's name"
    )
    weights: str = _choice(
        "pretrained",
        ("pretrained", "none"),
        "where training starts: the `weights` channel, else bundled, else torchvision's download; "
        "none: random numbers",
    )
    unfreeze: str = _choice(
        "head",
        ("head", "gradual", "all"),
        "what is trained: the last layer, on features computed once; more layers every epoch; all",
    )
    epochs: int = _number(10, 1, 10_000, "passes over the training split")
    batch_size: int = _number(
        32,
        1,
        65_536,
        "images a step, over all processes together: the result does not hang on how many",
        Categorical(("32", "64", "128")),
    )
    lr: float = _number(
        0.001,
        1e-9,
        1e6,
        "the last layer's step size at its peak",
        Continuous(0.0001, 0.1, "Logarithmic"),
    )
    backbone_lr: float = _number(
        0.1, 0, 10, "the other layers' step size as a share of lr: they are nearly right already"
    )
    optimizer: str = _choice("adamw", ("adamw", "sgd"), "sgd: with Nesterov's momentum")
    momentum: float = _number(0.9, 0, 0.9999, "of sgd")
    weight_decay: float = _number(0.01, 0, 10, "of weights; biases and norms are never decayed")
    warmup: float = _number(0.05, 0, 1, "share of all steps in which lr climbs to its peak")
    clip: float = _number(1.0, 0, 1e6, "longest gradient, as a Euclidean norm; 0: any")
    label_smoothing: float = _number(0.0, 0, 0.9, "probability spread over the other labels")
    mixup: float = _number(0.0, 0, 10, "alpha of the Beta that blends pairs of inputs; 0: never")
    cutmix: float = _number(0.0, 0, 10, "alpha of the Beta that sizes pasted patches; 0: never")
    augment: str = _choice(
        "trivial",
        ("trivial", "flip", "none"),
        "what training images go through when layers below the head learn: TrivialAugment after a "
        "random crop and mirror; these two only; the crop that serving makes",
    )
    class_weights: str = _choice(
        "none", ("none", "balanced"), "balanced: each class counts as much as any other"
    )
    ema: float = _number(
        0.0, 0, 0.99999, "decay a step of the averaged weights that are judged and kept; 0: none"
    )
    patience: int = _number(
        0,
        0,
        10_000,
        "stop after so many epochs without a better validation loss, and keep the "
        "best; 0: the last epoch is kept and validation selects nothing",
    )
    precision: str = _choice("auto", ("auto", "fp32"), "auto: bf16 or fp16 on a GPU, fp32 on a CPU")
    image_size: int = _number(0, 0, 2048, "pixels of the network's square input; 0: its own")
    seed: int = _number(0, 0, 2**31 - 1, "of the new layers, the order, augmentation and dropout")
    decoders: int = _number(0, 0, 256, "threads that decode images; 0: one a core")
    processes: int = _number(0, 0, 64, "processes a machine; 0: one a GPU, or one")
    max_unreadable: float = _number(
        0.01, 0, 1, "share of images that may be damaged and are left out; more ends the job"
    )
    log_every: int = _number(10, 1, 1_000_000, "steps between two lines of the log")
    checkpoint_seconds: float = _number(
        300, 0, 86_400, "between two checkpoints within an epoch; 0: after every step"
    )

    @classmethod
    def from_strings(cls, given: Mapping[str, str]) -> "TrainConfig":
        """Raises TrainingFailed, naming the first hyperparameter that is unknown or wrong."""
        known = {flag(each): each for each in fields(cls)}
        values = {
            known[name].name: _parsed(known[name], text)
            for name, text in given.items()
            if not _is_the_platforms(name) and _is_known(name, known)
        }
        config = cls(**values)
        config._check()
        return config

    def to_strings(self) -> dict[str, str]:
        """The inverse of `from_strings`."""
        return {flag(each): str(getattr(self, each.name)) for each in fields(self)}

    def _check(self) -> None:
        if self.unfreeze == "head" and self.cutmix:
            raise TrainingFailed(
                "Hyperparameter cutmix pastes images, but with unfreeze=head features are computed "
                "once: set cutmix to 0, or unfreeze to gradual or all."
            )


def flag(each: "Field[Any]") -> str:
    return each.name.replace("_", "-")


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
    text = str(value)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _flags(arguments: list[str]) -> dict[str, str]:
    parser = argparse.ArgumentParser(prog="python -m training.train", allow_abbrev=False)
    for each in fields(TrainConfig):
        parser.add_argument(
            f"--{flag(each)}",
            dest=flag(each),
            help=f"{each.metadata['means']} ({each.default})".replace("%", "%%"),
        )
    return {name: text for name, text in vars(parser.parse_args(arguments)).items() if text}


def _is_the_platforms(name: str) -> bool:
    return name.startswith(("sagemaker_", "_tuning_"))


def _is_known(name: str, known: Mapping[str, object]) -> bool:
    if name in known:
        return True
    near = difflib.get_close_matches(name.replace("_", "-"), known, 1)
    hint = f" Is {near[0]} meant?" if near else f" There are: {', '.join(known)}."
    raise TrainingFailed(f"There is no hyperparameter {name!r}.{hint}")


def _parsed(each: "Field[Any]", text: str) -> Any:
    rules = each.metadata
    if "choices" in rules:
        _require(text in rules["choices"], each, text, f"one of {', '.join(rules['choices'])}")
        return text
    if "pattern" in rules:
        fits = re.fullmatch(rules["pattern"], text) is not None
        _require(fits, each, text, f"of the form {rules['pattern']}")
        return text
    low, high = rules["low"], rules["high"]
    kind = "a whole number" if isinstance(each.default, int) and each.type is int else "a number"
    number = _as_number(text, kind)
    fits = number is not None and low <= number <= high
    _require(fits, each, text, f"{kind} from {low:g} to {high:g}")
    return number


def _as_number(text: str, kind: str) -> float | int | None:
    try:
        number = int(text) if kind == "a whole number" else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _require(fits: bool, each: "Field[Any]", text: str, wanted: str) -> None:
    if not fits:
        raise TrainingFailed(f"Hyperparameter {flag(each)} must be {wanted}, not {text[:60]!r}.")
