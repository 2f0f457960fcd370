"""How many processors this process really has."""

import os
from pathlib import Path

CGROUP_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


def available(cpu_max: Path = CGROUP_CPU_MAX) -> int:
    """The affinity mask, and the container's quota where one is set (cgroup v2: "QUOTA PERIOD")."""
    processors = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
    except (OSError, ValueError):
        return processors
    if quota == "max":
        return processors
    return max(1, min(processors, round(int(quota) / int(period))))
