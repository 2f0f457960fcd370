"""The processes that train together: one alone, or one a GPU on one machine or more."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class World:
    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "World":
        """By the names torch itself uses; absent in a process that is alone."""
        return cls(
            int(environ.get("RANK", "0")),
            int(environ.get("WORLD_SIZE", "1")),
            int(environ.get("LOCAL_RANK", "0")),
        )

    @property
    def leads(self) -> bool:
        """This one writes logs, checkpoints, reports and the model."""
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else CPU

    @contextmanager
    def joined(self) -> Iterator[None]:
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
        """Of chance here. torch.manual_seed also notes down, with a stack trace, what to do on each
        kind of device that is not there: a third of a head's step.
        """
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def summed(self, *numbers: float) -> list[float]:
        """Each number added up over all processes."""
        if self.size == 1:
            return list(numbers)
        total = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return [float(number) for number in total]

    def gathered(self, rows: torch.Tensor, counts: list[int]) -> torch.Tensor:
        """The rows of every process, one after the other; `counts`: how many each has."""
        if self.size == 1:
            return rows
        padded = rows.new_zeros((max(counts), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def alike(self, module: nn.Module) -> None:
        """Running statistics as the leader has them: each process saw other images."""
        if self.size > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)


CPU = torch.device("cpu")
