"""Engines: compute probabilities for a batch of cropped images."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serving import hardware
from serving.archive import Archive, ModelLoadError
from serving.preprocess import Pixels
from serving.settings import EngineChoice, Settings

Engine = Callable[[Pixels, bool], NDArray[np.float32]]
"""(images, crop, crop, 3) uint8 pixels to (images, labels) float32 probabilities.

Thread-safe. The second argument is True if no other thread is calling it.
"""


NO_TORCH_MESSAGE = (
    "this model needs PyTorch (its archive brings no OpenVINO files, or SORTBOX_ENGINE is torch), "
    "which this image leaves out; serve it by the `cpu` variant of the image"
)


def create_engine(archive: Archive, settings: Settings, threads: int) -> Engine:
    """Create the engine for a model; only the chosen one is imported, as torch takes seconds.

    Raises ModelLoadError, and UnusableGpuError for a GPU that cannot be used.
    """
    compiled = archive.card.openvino
    if settings.engine == "openvino" and compiled is None:
        raise ModelLoadError(
            "SORTBOX_ENGINE is openvino, which this model's archive does not bring"
        )
    has_gpu = partial(hardware.has_gpu, settings.requires_gpu)
    match select_engine(settings.engine, compiled is not None, has_gpu):
        case "gpu":
            from serving.engines.cuda import Cuda

            return Cuda(archive, settings.max_batch)
        case "openvino" if compiled is not None:
            from serving.engines.openvino import OpenVino

            return OpenVino(archive, compiled, threads, settings.max_batch)
        case _:
            try:
                from serving.engines.pytorch import PyTorch
            except ModuleNotFoundError as error:
                if error.name != "torch":
                    raise
                raise ModelLoadError(NO_TORCH_MESSAGE) from error

            return PyTorch(archive, threads)


def select_engine(
    choice: EngineChoice, compiled: bool, has_gpu: Callable[[], bool]
) -> Literal["gpu", "openvino", "cpu"]:
    """The engine to use: PyTorch on a GPU if there is one, else OpenVINO if the archive has it."""
    if choice != "openvino" and has_gpu():
        return "gpu"
    return "openvino" if compiled and choice != "torch" else "cpu"
