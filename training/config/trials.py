"""The trials of a search, wherever they ran: what was tried, how it went, which was the best."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.config.train_config import TrainConfig

FILE = "trials.json"

Curves = Mapping[str, float]
"""An epoch's numbers by the names of the metric lines."""


@dataclass(frozen=True, slots=True)
class Trial:
    name: str
    """A number, or its training job's."""
    values: Mapping[str, str]
    """Of what was searched."""
    state: str
    """In SageMaker's words: InProgress, Completed, Stopped, Failed."""
    score: float | None
    """The objective's; None as long as there is none."""
    curves: tuple[Curves, ...]
    failure: str = ""


def maximizes(objective: str) -> bool:
    return objective.endswith("accuracy")


def best(trials: Sequence[Trial], objective: str) -> Trial | None:
    """Of those that came to their end, where any did; of several that are equal in the objective,
    the one with the lowest loss.
    """
    sign = -1 if maximizes(objective) else 1
    scored = [trial for trial in trials if trial.score is not None and trial.state != "InProgress"]
    completed = [trial for trial in scored if trial.state == "Completed"]
    return min(
        completed or scored,
        key=lambda trial: (sign * (trial.score or 0), _loss(trial)),
        default=None,
    )


def _loss(trial: Trial) -> float:
    return trial.curves[-1].get("validation_loss", math.inf) if trial.curves else math.inf


def judged(
    name: str, values: Mapping[str, str], history: Sequence[Curves], told: TrainConfig, failure: str
) -> Trial:
    """A trial that is over, by the epoch that it keeps."""
    if failure:
        return Trial(name, values, "Failed", None, tuple(history), failure)
    kept = history[-1]
    if told.patience:
        kept = min(history, key=lambda epoch: epoch["validation_loss"])
    return Trial(name, values, "Completed", kept[told.objective], tuple(history))


def short(value: str) -> str:
    """To read: what a tuner chose has seventeen digits."""
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value


def write(folder: Path, objective: str, space: str, trials: Sequence[Trial]) -> None:
    found = best(trials, objective)
    content = {
        "objective": objective,
        "search": space,
        "best": found.name if found else None,
        "trials": [asdict(trial) for trial in trials],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(content, indent=1))


def read(path: Path) -> list[Trial]:
    content: dict[str, Any] = json.loads(path.read_text())
    return [Trial(**{**each, "curves": tuple(each["curves"])}) for each in content["trials"]]
