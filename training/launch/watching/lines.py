"""What a person sees of a job's log: a table of epochs, and the sentences in between.

A row an epoch, 10,000 at most; metrics of single steps stay in the log. The test split is not in
the table: whoever chooses by it has none left.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from training.config import metrics
from training.config.errors import FAILURE_LINE

COLUMNS = (
    ("train_loss", "train loss"),
    ("train_accuracy", "train acc."),
    ("validation_loss", "valid. loss"),
    ("validation_accuracy", "valid. acc."),
)
HEAD = f"{'epoch':>14}" + "".join(f"{title:>13}" for _, title in COLUMNS) + f"{'seconds':>9}"


@dataclass
class LogLines:
    """The lines to print, one call a line of the log."""

    epochs: int
    epoch: int = 0
    """The last one that has ended."""
    doing: str = "starts"
    """What the job does, for the progress bar."""
    _has_head: bool = False

    def read(self, line: str) -> Iterator[str]:
        values = metrics.parse(line)
        if "validation_loss" in values and "epoch" in values:
            self.epoch, self.doing = round(values["epoch"]), "trains"
            if not self._has_head:
                self._has_head = True
                yield HEAD
            yield self._row(values)
        elif values:
            self.doing = "trains" if "step" in values else self.doing
        elif line.startswith(FAILURE_LINE):
            return  # SageMaker names the reason once more, with what to do
        elif line.strip():
            self.doing = line.strip()
            yield f"  {line}"

    def _row(self, values: dict[str, float]) -> str:
        number = f"{self.epoch:,}/{self.epochs:,}"
        cells = (f"{values[name]:.4f}" if name in values else "-" for name, _ in COLUMNS)
        figures = "".join(f"{cell:>13}" for cell in cells)
        return f"{number:>14}{figures}{values.get('seconds', 0.0):>9.1f}"
