"""What every part of a training job reads and none changes: one frozen value."""

from collections.abc import Callable
from dataclasses import dataclass

from training.config.errors import Interrupted
from training.config.paths import ContainerPaths
from training.config.train_config import TrainConfig
from training.distributed import Distributed

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainContext:
    config: TrainConfig
    paths: ContainerPaths
    distributed: Distributed
    interrupted: Callable[[], bool]
    """Whether this process has received SIGTERM."""
    log: Log
    """Prints a line, in the main process only."""

    def check_interrupt(self) -> None:
        """Raises Interrupted once this process has received SIGTERM."""
        if self.interrupted():
            raise Interrupted

    def is_any_interrupted(self) -> bool:
        """The same answer in every process: they must stop after the same step."""
        return any(self.distributed.all_reduce_sum(self.interrupted()))
