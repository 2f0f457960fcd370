"""The processes of a training job: a single one, or one per GPU on one or more machines."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class Distributed:
    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Distributed":
        """torch's own variables; absent in a single process."""
        return cls(
            int(environ.get("RANK", "0")),
            int(environ.get("WORLD_SIZE", "1")),
            int(environ.get("LOCAL_RANK", "0")),
        )

    @property
    def is_main(self) -> bool:
        """The process that writes logs, checkpoints, reports and the model."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else CPU

    @contextmanager
    def process_group(self) -> Iterator[None]:
        if self.size == 1:
            yield
            return
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        try:
            yield
        finally:
            dist.destroy_process_group()

    def seed(self, number: int) -> None:
        """Seed this process. torch.manual_seed also records a deferred call, with a stack trace,
        for each kind of device that is absent: a third of a head's step.
        """
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def all_reduce_sum(self, *numbers: float) -> list[float]:
        """Each number, summed over all processes."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return [float(number) for number in total]

    def all_gather(self, rows: torch.Tensor, counts: list[int]) -> torch.Tensor:
        """The rows of all processes, concatenated; `counts`: rows per process."""
        if self.size == 1:
            return rows
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def sync_buffers(self, module: nn.Module) -> None:
        """Copy running statistics from the main process: each process saw other images."""
        if self.size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)


CPU = torch.device("cpu")
