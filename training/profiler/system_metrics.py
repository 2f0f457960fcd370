"""What a run takes of processors, memory and GPU while it lasts, looked at by a thread."""

import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from threading import Event, Thread
from typing import Any, Self

import psutil
import torch

from training.profiler.series import Series

LOOK_SECONDS = 0.5
"""SageMaker's own default."""

CPU, PROCESS, WAITING, MEMORY = "cpu", "process", "waiting for disk", "memory"
GPU, GPU_MEMORY = "gpu", "gpu memory"


class Usage:
    """Percentages, and memory in bytes; GPU only where NVML can be asked."""

    def __init__(
        self, device: torch.device, busy: Callable[[], float] = psutil.cpu_percent
    ) -> None:
        self._busy = busy
        self._process = psutil.Process()
        self._gpu = _nvml(device)
        self._over = Event()
        self._began = time.monotonic()
        self._thread = Thread(target=self._look_on, name="usage", daemon=True)
        self.series = {name: Series() for name in (CPU, PROCESS, WAITING, MEMORY)}
        self.series |= {name: Series() for name in (GPU, GPU_MEMORY) if self._gpu}

    @property
    def memory(self) -> int:
        """Bytes of this process that are in memory now."""
        resident: int = self._process.memory_info().rss
        return resident

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *trouble: object) -> None:
        self._over.set()
        self._thread.join()

    def _look_on(self) -> None:
        self._look()  # the first percentages are of no time at all
        while not self._over.wait(LOOK_SECONDS):
            seconds = time.monotonic() - self._began
            for name, value in self._look().items():
                self.series[name].add(seconds, value)

    def _look(self) -> Mapping[str, float]:
        return {
            CPU: self._busy(),
            PROCESS: self._process.cpu_percent() / (psutil.cpu_count() or 1),
            WAITING: getattr(psutil.cpu_times_percent(), "iowait", 0.0),
            MEMORY: float(self.memory),
            **(self._gpu.look() if self._gpu else {}),
        }


class _Gpu:
    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def look(self) -> Mapping[str, float]:
        return {
            GPU: float(self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu),
            GPU_MEMORY: float(self._nvml.nvmlDeviceGetMemoryInfo(self._handle).used),
        }


def _nvml(device: torch.device) -> _Gpu | None:
    if device.type != "cuda" or find_spec("pynvml") is None:
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        return _Gpu(pynvml, device.index or 0)
    except pynvml.NVMLError:
        return None
