"""One form of metric line: what training prints, SageMaker's regexes read, and tests check.

epoch=3 train_loss=0.41 train_accuracy=0.88 validation_loss=0.52 validation_accuracy=0.84
"""

import re
from collections.abc import Mapping

NUMBER = r"[-+0-9.einfa]+"
CURVES = tuple(
    f"{split}_{what}" for split in ("train", "validation", "test") for what in ("loss", "accuracy")
)
NAMES = ("loss", *CURVES, "final_accuracy", "final_loss")
"""What becomes a CloudWatch metric: each step's loss, each epoch's curves, and the result."""

Curves = dict[str, float]
"""The values of one epoch, by the names of CURVES."""

_PAIR = re.compile(rf"(\S+?)=({NUMBER})(?= |$)")


def line(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.7g}" for name, value in values.items())


def parse(text: str) -> dict[str, float]:
    """The inverse of `line`, to seven digits; empty for a line of another form."""
    found = {name: float(value) for name, value in _PAIR.findall(text)}
    return found if line(found).count("=") == text.count("=") else {}


def definitions() -> list[dict[str, str]]:
    """AlgorithmSpecification.MetricDefinitions."""
    return [{"Name": name, "Regex": f"(?:^| ){name}=({NUMBER})"} for name in NAMES]
