"""Samples the use of processors, memory and GPU in a thread."""

import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from threading import Event, Thread
from typing import Any, Self

import psutil
import torch

from training.profiler.series import Series

SAMPLE_SECONDS = 0.5
"""SageMaker's default."""

CPU, PROCESS, WAITING, MEMORY = "cpu", "process", "waiting for disk", "memory"
GPU, GPU_MEMORY = "gpu", "gpu memory"


class SystemMetrics:
    """Percentages, and memory in bytes; GPU only if NVML is available."""

    def __init__(
        self, device: torch.device, busy: Callable[[], float] = psutil.cpu_percent
    ) -> None:
        self._busy = busy
        self._process = psutil.Process()
        self._gpu = _nvml(device)
        self._closed = Event()
        self._began = time.monotonic()
        self._thread = Thread(target=self._sample_until_closed, name="usage", daemon=True)
        self.series = {name: Series() for name in (CPU, PROCESS, WAITING, MEMORY)}
        self.series |= {name: Series() for name in (GPU, GPU_MEMORY) if self._gpu}

    @property
    def memory(self) -> int:
        """Resident bytes of this process."""
        resident: int = self._process.memory_info().rss
        return resident

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *trouble: object) -> None:
        self._closed.set()
        self._thread.join()

    def _sample_until_closed(self) -> None:
        self._sample()  # the first percentages cover no time
        while not self._closed.wait(SAMPLE_SECONDS):
            seconds = time.monotonic() - self._began
            for name, value in self._sample().items():
                self.series[name].add(seconds, value)

    def _sample(self) -> Mapping[str, float]:
        return {
            CPU: self._busy(),
            PROCESS: self._process.cpu_percent() / (psutil.cpu_count() or 1),
            WAITING: getattr(psutil.cpu_times_percent(), "iowait", 0.0),
            MEMORY: float(self.memory),
            **(self._gpu.sample() if self._gpu else {}),
        }


class _Gpu:
    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def sample(self) -> Mapping[str, float]:
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
