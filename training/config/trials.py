"""The trials of a search, wherever they ran: their values, metrics and state, and the best."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.config.train_config import TrainConfig

FILE = "trials.json"

EpochMetrics = Mapping[str, float]
"""The metrics of one epoch by name."""


@dataclass(frozen=True, slots=True)
class Trial:
    name: str
    """The number of a trial, or the name of its training job."""
    values: Mapping[str, str]
    """The searched hyperparameters."""
    state: str
    """SageMaker's names: InProgress, Completed, Stopped, Failed."""
    score: float | None
    """The value of the objective; None until there is one."""
    curves: tuple[EpochMetrics, ...]
    failure: str = ""


@dataclass(frozen=True, slots=True)
class NetworkTrial:
    """One of the networks that `arch=auto` compares."""

    arch: str
    seconds: float
    score: float | None
    """The objective of its best head; None if it was left out, for the `reason`."""
    values: Mapping[str, str]
    """The searched hyperparameters of that head."""
    reason: str = ""

    def describe(self, objective: str) -> str:
        if self.score is None:
            return f"{self.arch} was left out: {self.reason}"
        values = " ".join(f"{name}={shorten(text)}" for name, text in self.values.items())
        return f"{self.arch}: {objective} {self.score:.4f} with {values}, in {self.seconds:.1f} s"


def maximizes(objective: str) -> bool:
    return objective.endswith("accuracy")


def best(trials: Sequence[Trial], objective: str) -> Trial | None:
    """Among the completed trials, or among all if none completed; a tie goes to the lowest
    validation loss.
    """
    sign = -1 if maximizes(objective) else 1
    scored = [trial for trial in trials if trial.score is not None and trial.state != "InProgress"]
    completed = [trial for trial in scored if trial.state == "Completed"]
    return min(
        completed or scored,
        key=lambda trial: (sign * (trial.score or 0), _loss(trial, objective)),
        default=None,
    )


def _loss(trial: Trial, objective: str) -> float:
    """The lowest among the epochs that have the trial's score: that of the weights it keeps. Values
    from a log have seven digits.
    """
    losses = [
        epoch.get("validation_loss", math.inf)
        for epoch in trial.curves
        if math.isclose(epoch.get(objective, math.nan), trial.score or 0.0, rel_tol=1e-6)
    ]
    return min(losses, default=math.inf)


def finish_trial(
    name: str,
    values: Mapping[str, str],
    epochs: Sequence[EpochMetrics],
    config: TrainConfig,
    failure: str,
) -> Trial:
    """A finished trial, scored by the epoch whose weights it keeps."""
    if failure:
        return Trial(name, values, "Failed", None, tuple(epochs), failure)
    kept = epochs[-1]
    if config.patience:
        kept = min(epochs, key=lambda epoch: epoch["validation_loss"])
    return Trial(name, values, "Completed", kept[config.objective], tuple(epochs))


def shorten(value: str) -> str:
    """For display: a tuner's values have seventeen digits."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value


def write(
    folder: Path, objective: str, space: str, trials: Sequence[Trial], comparison: str = ""
) -> None:
    """`comparison`: how the best trial compares with the default values."""
    winner = best(trials, objective)
    content = {
        "objective": objective,
        "search": space,
        "best": winner.name if winner else None,
        "comparison": comparison,
        "trials": [asdict(trial) for trial in trials],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(content, indent=1))


def read(path: Path) -> list[Trial]:
    content: dict[str, Any] = json.loads(path.read_text())
    return [Trial(**{**trial, "curves": tuple(trial["curves"])}) for trial in content["trials"]]


def read_comparison(path: Path) -> str:
    """Empty in a file of an image that compared nothing."""
    return str(json.loads(path.read_text()).get("comparison", ""))


def default_values(config: TrainConfig, names: Iterable[str]) -> str:
    """The values that the searched hyperparameters have where nothing is searched."""
    strings = config.to_strings()
    return " ".join(f"{name}={strings[name]}" for name in names)
