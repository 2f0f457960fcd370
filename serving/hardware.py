"""The processors and the GPU that this process can use."""

import os
from pathlib import Path

CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
DEVICES = Path("/dev")


def available_processors(cpu_max: Path = CGROUP_CPU_MAX) -> int:
    """The affinity mask, limited by the container's quota (cgroup v2: "QUOTA PERIOD")."""
    processors = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
    except (OSError, ValueError):
        return processors
    if quota == "max":
        return processors
    return max(1, min(processors, round(int(quota) / int(period))))


def has_gpu(devices: Path = DEVICES) -> bool:
    """Whether PyTorch can use a GPU. Imports PyTorch, which takes seconds, only with a driver."""
    if not any(devices.glob("nvidia[0-9]*")):
        return False
    import torch

    return torch.cuda.is_available()
