"""One form of metric line: what training prints, SageMaker's regexes read, and tests check.

epoch=3 train_loss=0.41 train_accuracy=0.88 validation_loss=0.52 validation_accuracy=0.84
"""

import re
from collections.abc import Mapping

NUMBER = r"[-+0-9.einfa]+"
EPOCH_METRIC_NAMES = tuple(
    f"{split}_{what}" for split in ("train", "validation", "test") for what in ("loss", "accuracy")
)
SERVED = "served_accuracy"
"""Of the model as it serves, where that is not fp32; `final_accuracy` is of fp32."""

SERVED_CALIBRATION = "served_calibration_error"
"""Of the scores as they serve, with the temperature."""

NAMES = ("loss", *EPOCH_METRIC_NAMES, "final_accuracy", "final_loss", SERVED, SERVED_CALIBRATION)
"""CloudWatch metrics: the loss of a step, the metrics of an epoch, and the result."""

EpochMetrics = dict[str, float]
"""The metrics of one epoch by name; the names include EPOCH_METRIC_NAMES."""

_PAIR = re.compile(rf"(\S+?)=({NUMBER})(?= |$)")


def line(values: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.7g}" for name, value in values.items())


def parse(text: str) -> dict[str, float]:
    """The inverse of `line`, to seven digits; empty for a line of another form."""
    values = {name: float(value) for name, value in _PAIR.findall(text)}
    return values if line(values).count("=") == text.count("=") else {}


def definitions() -> list[dict[str, str]]:
    """AlgorithmSpecification.MetricDefinitions."""
    return [{"Name": name, "Regex": f"(?:^| ){name}=({NUMBER})"} for name in NAMES]
