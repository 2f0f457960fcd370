"""Engines: from a batch of cropped pixels to probabilities."""

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
"""(images, crop, crop, 3) pixels to (images, labels) probabilities.

Many threads may call it at once. The second argument says that nobody else does just now.
"""


NO_TORCH_MESSAGE = (
    "this model needs PyTorch (its archive brings no OpenVINO files, or SORTBOX_ENGINE is torch), "
    "which this image leaves out; serve it by the `cpu` variant of the image"
)


def create_engine(archive: Archive, settings: Settings, threads: int) -> Engine:
    """Imports the one that is chosen: torch takes seconds, and OpenVINO needs none of it.

    Raises ModelLoadError, and UnusableGpuError for a GPU that would be paid for and idle.
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
    """PyTorch on a GPU where there is one, else OpenVINO where the archive brings it."""
    if choice != "openvino" and has_gpu():
        return "gpu"
    return "openvino" if compiled and choice != "torch" else "cpu"
