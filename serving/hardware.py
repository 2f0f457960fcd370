"""The processors and the GPU that this process can use."""

import os
from pathlib import Path

from domain.errors import SortboxError
from domain.instance import explain_unusable_gpu

CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
DEVICES = Path("/dev")


def available_processors(cpu_max: Path = CGROUP_CPU_MAX) -> int:
    """The number of usable processors: the affinity mask, limited by the container's CPU quota.

    `cpu_max` is a file of cgroup v2, with "QUOTA PERIOD" in microseconds.
    """
    processors = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
    except (OSError, ValueError):
        return processors
    if quota == "max":
        return processors
    return max(1, min(processors, round(int(quota) / int(period))))


class UnusableGpuError(SortboxError):
    """The machine has a GPU, and a GPU's price, but this image cannot use it."""


def has_gpu(is_required: bool = False, devices: Path = DEVICES) -> bool:
    """Whether PyTorch can use a GPU. Imports PyTorch, which takes seconds, only if there is one.

    With `is_required`, raises UnusableGpuError if the machine has a GPU that cannot be used.
    """
    if not any(devices.glob("nvidia[0-9]*")):
        return False
    why = _objection()
    if why and is_required:
        raise UnusableGpuError(
            f"this machine has a GPU that this image cannot use: {why}; SORTBOX_GPU=optional "
            "serves on the CPU all the same"
        )
    return why is None


def _objection() -> str | None:
    try:
        import torch
    except ModuleNotFoundError:
        return "it has no PyTorch, which the `gpu` variant of the image has"
    return None if torch.cuda.is_available() else explain_unusable_gpu(torch.version.cuda)
